#!/bin/sh
# Starts two processes that train together: bare.sh PORT PORT COMMAND...
chief="127.0.0.1:$1" worker="127.0.0.1:$2"
shift 2
cluster="{\"chief\": [\"$chief\"], \"worker\": [\"$worker\"]}"
TF_CONFIG="{\"cluster\": $cluster, \"task\": {\"type\": \"worker\", \"index\": 0}}" "$@" >/dev/null &
TF_CONFIG="{\"cluster\": $cluster, \"task\": {\"type\": \"chief\", \"index\": 0}}" "$@"
wait

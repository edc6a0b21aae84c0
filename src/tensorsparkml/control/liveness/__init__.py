"""Heartbeats, and the report of a node's end."""

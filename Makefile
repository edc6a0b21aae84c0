# Everything runs in .venv, made on first use. `make PYTHON=/path/to/python3.12 test` chooses the Python.
PYTHON ?= python3
VENV := .venv
LOCK := requirements.lock
EXTRAS := dev,gpu,connect
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check test-newest test-lowest unit lint format docs bench lock clean

help:
	@echo 'make demo    train a Keras model on a Spark cluster on this machine'
	@echo 'make test    lint, then the tests that show a mistake soon'
	@echo 'make check   lint, then every test, as CI does: real servers, examples, all of the documentation'
	@echo 'make test-newest, make test-lowest    every test with other versions, in .venv-newest, .venv-lowest'
	@echo 'make unit    only the tests without Spark and TensorFlow'
	@echo 'make lint    ruff and mypy'
	@echo 'make format  let ruff format and fix'
	@echo 'make docs    build the documentation into site/'
	@echo 'make bench   measure everything and write benchmarks/RESULTS.md'
	@echo 'make lock    choose the newest versions again and write requirements.lock'
	@echo 'make clean   remove .venv and everything built'

demo: $(VENV)/local.stamp
	$(BIN)/python examples/mnist_keras.py

# Two at a time, each with a Spark application of its own; the many short files of tests/unit come
# last, so that both end at the same time.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=50

test: lint $(VENV)/spark.jsa
	$(PYTEST) -m 'not full' --hypothesis-profile=quick

check: lint $(VENV)/spark.jsa
	$(PYTEST)

# The newest versions that pyproject.toml allows, and the lowest, each in an environment of its own.
test-newest:
	rm -rf .venv-newest
	$(MAKE) VENV=.venv-newest LOCK=/dev/null .venv-newest/dev.stamp
	.venv-newest/bin/python -m pytest -n 2 --dist loadfile

test-lowest:
	rm -rf .venv-lowest
	$(MAKE) VENV=.venv-lowest .venv-lowest/bin/python
	.venv-lowest/bin/python -m pip --quiet install uv
# Left alone, uv prefers a newer protobuf, and for it a newer TensorFlow.
# Spark Connect needs a newer protobuf too.
	echo "tensorflow-cpu<2.19; python_version < '3.13'" | .venv-lowest/bin/uv $(COMPILE) --constraint - \
	  --python .venv-lowest/bin/python --resolution lowest-direct --only-binary :all: --no-binary pyspark \
	  --output-file .venv-lowest/requirements.lock
	$(MAKE) VENV=.venv-lowest LOCK=.venv-lowest/requirements.lock EXTRAS=dev,gpu .venv-lowest/dev.stamp
# PySpark 4.1 leaves sockets to the garbage collector.
	.venv-lowest/bin/python -m pytest -n 2 --dist loadfile -W ignore::pytest.PytestUnraisableExceptionWarning \
	  --deselect 'tests/docs/test_docs.py::test_a_program_with_a_session_of_its_own_runs[connect]'

unit: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests/unit

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev.stamp
	$(BIN)/mkdocs build --strict

# Long, and alone on the machine: whatever else runs is measured too.
bench: $(VENV)/local.stamp
	$(BIN)/python -m benchmarks --write benchmarks/RESULTS.md

# For every Python and platform that pyproject.toml allows.
COMPILE := pip compile --quiet --extra dev --extra gpu --group keras2 --no-annotate --no-emit-index-url \
  --custom-compile-command 'make lock' pyproject.toml
lock: $(BIN)/python
	$(PIP) install uv
	$(BIN)/uv $(COMPILE) --extra connect --universal --python-version 3.11 --upgrade --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-newest .venv-lowest build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests tools examples benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamps are made anew only when pyproject.toml or the lock has changed.
$(VENV)/local.stamp: pyproject.toml $(LOCK) | $(BIN)/python
	$(PIP) install -c $(LOCK) -e '.[local]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(LOCK) | $(BIN)/python
	$(PIP) install -c $(LOCK) -e '.[$(EXTRAS)]'
# Alone: it asks for the package tensorflow, in whose place tensorflow-cpu is there.
	$(PIP) install --no-deps -c $(LOCK) tf-keras
	@touch $@ $(VENV)/local.stamp

$(VENV)/spark.jsa: $(VENV)/dev.stamp
	rm -f $@
	$(BIN)/python tools/share_spark_classes.py $@

# The first that works, as a name on the PATH may be of a Python that is not there.
$(BIN)/python:
	@for python in '$(PYTHON)' python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	      2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo 'No Python 3.11, 3.12 or 3.13 with venv was found: make PYTHON=/path/to/python3.12 ...' >&2; \
	exit 1

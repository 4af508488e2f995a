# All that is needed is Python >= 3.11, git and make; uv is used where it is installed, or else brought into .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
RUN := $(UV) run --frozen

.PHONY: help setup repro test lint bench

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## create .venv and install what uv.lock pins, compiled: each stage is a process that imports all it needs
	@command -v uv >/dev/null || test -x $(BIN)/uv || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is older than 3.11; name another: make PYTHON=python3.11 $(MAKECMDGOALS)")' && \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet uv; }
	@$(UV) sync --frozen --inexact --quiet --compile-bytecode

repro: setup ## run the pipeline: every stage whose inputs changed
	$(RUN) dvc repro

lint: setup ## ruff and mypy
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

test: lint ## lint, types and every test
	$(RUN) pytest -n logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

bench: setup ## the benchmarks, one JSON object a line
	@for name in $(basename $(notdir $(wildcard benchmarks/*.py))); do $(RUN) --group bench python -m benchmarks.$$name; done

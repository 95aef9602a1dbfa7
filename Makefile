# Every target works on a fresh clone: `setup` is made when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNS ?= 3000
KEEP ?= 1
JOBS ?= 2
ARGS ?=

export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test faults bench interop lint format lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements/setup.txt requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Causeline needs Python 3.11 or newer: set PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Causeline needs Python 3.11 or newer: set PYTHON=/path/to/python3."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/setup.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

setup: $(STAMP) ## Install everything the project needs into .venv

demo: $(STAMP) ## Start the stack, publish RUNS runs, explain a failed one (KEEP=0 stops it afterwards)
	@$(BIN)/causeline demo --runs $(RUNS) $(if $(filter 0,$(KEEP)),--down) $(ARGS)

up: $(STAMP) ## Start the local stack
	@$(BIN)/causeline up $(ARGS)

down: $(STAMP) ## Stop the local stack
	@$(BIN)/causeline down $(ARGS)

status: $(STAMP) ## Show what the local stack is doing
	@$(BIN)/causeline status $(ARGS)

test: $(STAMP) ## Run linters, types and every test but the fault runs
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile --ignore=tests/faults $(ARGS)

faults: $(STAMP) ## Kill, freeze and starve the real stack, and count what is left
	$(BIN)/pytest tests/faults $(ARGS)

bench: $(STAMP) ## Run the benchmarks and print one table
	$(BIN)/python -m benchmarks $(ARGS)

interop: $(STAMP) ## Run real clients (needs npm), a real Collector (needs Go) and a real Phoenix against Causeline
	timeout 500 $(BIN)/python -m interop.run_clients
	timeout 700 $(BIN)/python -m interop.collector $(ARGS)
	timeout 500 $(BIN)/python -m interop.phoenix

lint: $(STAMP) ## Check format, style, types, layers and dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## Pin the requirements anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev pyproject.toml --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra all --constraint requirements/dev.txt pyproject.toml --output-file requirements/all.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --constraint requirements/dev.txt requirements/setup.in --output-file requirements/setup.txt

clean: ## Remove the environment and the caches (the stack's state stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Every target works on a fresh clone: `setup` is made when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORE := $(VENV)/.core
RUNS ?= 3000
KEEP ?= 1
# Tests wait for services, and for each other, more than they work: three at once on two cores.
JOBS ?= 3
ARGS ?=

# Every process of a stack and of the tests would compile what it imports anew: twice the CPU of most of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test faults browser bench interop lint style types cases rust wheels sbom format lock clean

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

# Nothing needs the compiled core: where it cannot be built that is said, and Python does the same.
$(CORE): $(STAMP) core/Cargo.toml core/pyproject.toml $(wildcard core/src/*.rs core/src/run/*.rs)
	@if ! command -v cargo >/dev/null; then echo "Compiled core: not built, there is no cargo; Python does the same, slower."; \
	elif CARGO_NET_RETRY=0 CARGO_HTTP_TIMEOUT=20 timeout 300 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --reinstall ./core 2>$(VENV)/core.log; \
	then echo "Compiled core: built."; \
	else $(BIN)/uv pip uninstall --quiet --python $(BIN)/python causeline-core; \
	echo "Compiled core: not built ($(VENV)/core.log says why); Python does the same, slower."; fi
	@touch $@

setup: $(CORE) ## Install everything the project needs into .venv

demo: $(CORE) ## Start the stack, publish RUNS runs, explain a failed one (KEEP=0 stops it afterwards)
	@$(BIN)/causeline demo --runs $(RUNS) $(if $(filter 0,$(KEEP)),--down) $(ARGS)

up: $(CORE) ## Start the local stack
	@$(BIN)/causeline up $(ARGS)

down: $(CORE) ## Stop the local stack
	@$(BIN)/causeline down $(ARGS)

status: $(CORE) ## Show what the local stack is doing
	@$(BIN)/causeline status $(ARGS)

test: $(CORE) ## Run linters, types and every test but the fault runs, the slow ones and the browser's
	@$(MAKE) --no-print-directory style
	@$(MAKE) --no-print-directory --keep-going --jobs=2 types cases

faults: $(CORE) ## Kill, freeze and starve the real stack, run what is slow, and properties with all examples
	$(BIN)/pytest -n $(JOBS) tests/faults $(ARGS)
	$(BIN)/pytest -n $(JOBS) -m slow --ignore=tests/faults --ignore=tests/browser
	CAUSELINE_TEST_EXAMPLES=all $(BIN)/pytest -n $(JOBS) -m properties tests/unit

browser: $(CORE) ## Look at every page in a real Chromium (CAUSELINE_SCREENSHOTS=FOLDER keeps pictures)
	$(BIN)/pytest tests/browser $(ARGS)

bench: $(CORE) ## Run the benchmarks and print one table
	$(BIN)/python -m benchmarks $(ARGS)

interop: $(CORE) ## Run real clients (needs npm), a real Collector (needs Go), a real Phoenix, a real Prometheus
	timeout 500 $(BIN)/python -m interop.run_clients
	timeout 700 $(BIN)/python -m interop.collector $(ARGS)
	timeout 500 $(BIN)/python -m interop.phoenix
	cd examples/producers/node && npm install --no-audit --no-fund --no-package-lock --silent && node conformance.mjs
	promtool test rules deploy/prometheus/causeline.rules.test.yml
	timeout 500 $(BIN)/python -m interop.prometheus

rust: ## Check and test the compiled core (needs cargo)
	cargo fmt --check --manifest-path core/Cargo.toml
	cargo clippy --quiet --manifest-path core/Cargo.toml --all-targets --features python -- -D warnings
	cargo test --quiet --manifest-path core/Cargo.toml

wheels: $(CORE) ## Build the wheels and source distributions of causeline and of the compiled core into dist (needs cargo)
	$(BIN)/uv build --quiet --python $(BIN)/python --no-build-isolation --out-dir dist
	$(BIN)/maturin build --release --sdist --manifest-path core/Cargo.toml --out dist

sbom: $(STAMP) ## List what causeline[all] is installed with, as CycloneDX, in dist
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/all.txt --pyproject pyproject.toml --mc-type library --output-reproducible --of JSON -o dist/causeline.cdx.json

lint: style types ## Check format, style, types, layers and dependencies

style: $(CORE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Beside the tests, whose processes wait for each other often enough.
types: $(CORE)
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/mypy

cases: $(CORE)
	$(BIN)/pytest -n $(JOBS) -m "not slow" --ignore=tests/faults --ignore=tests/browser $(ARGS)

format: $(CORE) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## Pin the requirements anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev pyproject.toml --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra all --constraint requirements/dev.txt pyproject.toml --output-file requirements/all.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --constraint requirements/dev.txt requirements/setup.in --output-file requirements/setup.txt

clean: ## Remove the environment and the caches (the stack's state stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks interop -name __pycache__ -prune -exec rm -rf {} +

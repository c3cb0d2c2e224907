# The only commands people and CI use. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
NODES ?= 3
SEED ?= 1
MINUTES ?= 5
FLEET ?= both
# Of a benchmark; the lab's default is no size for one.
SIMULATED = $(if $(filter file,$(origin NODES)),5000,$(NODES))
# Most tests wait most of the time: for processes to start, for leases to end.
WORKERS ?= 3
# Where this is set, every command and role that the tests start would compile all of Pathfinder anew.
unexport PYTHONDONTWRITEBYTECODE
# Where nothing was ever installed, there is nothing to stop.
STOP := [ ! -x $(BIN)/pathfinder ] || $(BIN)/pathfinder

.DEFAULT_GOAL := help
.PHONY: help demo up down clean lab lab-down test lint audit bench bench-c1m bench-steady bench-rollouts bench-engine bench-console bench-failover soak chaos install lock console screenshots

help: ## This list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install console ## From nothing to a running container: install, start everything, create one, show it.
	@$(BIN)/pathfinder demo

up: install console ## Start everything that does not run yet.
	@$(BIN)/pathfinder up

down: ## Stop everything that `make up` started; data stays.
	@$(STOP) down

clean: ## Stop everything, and remove its data and the containers it made; nothing else.
	@$(STOP) clean

lab: install console ## Start a lab of several real LXD nodes: make lab NODES=3; HA=1: two of everything.
	@$(BIN)/pathfinder lab up --nodes $(NODES) $(if $(HA),--ha)

lab-down: ## Remove the lab without a trace.
	@$(STOP) lab down

test: install console ## Every test, real services included.
	@packaging/install-packages $(PYTHON) chromium
	@$(BIN)/pytest -n $(WORKERS)

lint: install console ## Style, types and layers.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@packaging/check-console $(BIN)/python

audit: install ## Whether a locked package has a known vulnerability; exit status 3 where that cannot be told here.
	@packaging/install-audit $(PYTHON) $(VENV)
	@PATH="$$PATH:$(VENV)/node/bin" $(BIN)/python packaging/audit.py $(VENV)/audit/bin/pip-audit npm

bench: install ## Measure, and print the numbers as a table.
	@$(BIN)/python -m benchmarks

bench-c1m: install ## A million containers onto simulated nodes: make bench-c1m CONTAINERS=1000000 NODES=5000
	@$(BIN)/python -m benchmarks.c1m --containers $(or $(CONTAINERS),1000000) --nodes $(SIMULATED)

bench-steady: install ## What a large fleet costs from day to day: make bench-steady CONTAINERS=150000 NODES=5000
	@$(BIN)/python -m benchmarks.steady --containers $(or $(CONTAINERS),150000) --nodes $(SIMULATED)

bench-rollouts: install ## 200 deployments of 100 replicas at once, on simulated nodes.
	@$(BIN)/python -m benchmarks.rollouts

bench-engine: install ## The placement engine alone: how fast it decides, and how well.
	@$(BIN)/python -m benchmarks.engine

bench-console: install console ## 100 open consoles and 1,000 event tails at 500 events a second: make bench-console SECONDS=60
	@packaging/install-packages $(PYTHON) chromium
	@$(BIN)/python -m benchmarks.consoles --seconds $(or $(SECONDS),60)

bench-failover: install ## Break each part once and again, and print how long recovery takes.
	@$(BIN)/python -m benchmarks.failover

soak: install ## Constant churn, and whether anything grows: make soak MINUTES=30
	@$(BIN)/python -m benchmarks.soak --minutes $(if $(filter file,$(origin MINUTES)),30,$(MINUTES))

chaos: install ## Break everything at random, then check that nothing is lost or doubled: make chaos SEED=1 MINUTES=5
	@cd tests && ../$(BIN)/python -m chaos --seed $(SEED) --minutes $(MINUTES) --fleet $(FLEET)

screenshots: install console ## Take the pictures of the console that docs/guides/ shows.
	@packaging/install-packages $(PYTHON) chromium
	@PYTHONPATH=tests/browser $(BIN)/python tests/browser/screenshots.py

console: install ## Build the web console, where the npm registry can be reached; else it says so.
	@packaging/build-console $(PYTHON) $(VENV)

install: ## Install what is missing: Debian packages (as root), the virtual environment.
	@packaging/install-packages $(PYTHON)
	@packaging/install-python $(PYTHON) $(VENV)

lock: install ## Choose the newest allowed version of every dependency anew.
	@$(VENV)/uv/bin/uv pip compile pyproject.toml --group dev --generate-hashes --no-header --no-annotate \
		--upgrade --quiet --output-file requirements.lock
	@for tool in uv node audit; do $(VENV)/uv/bin/uv pip compile packaging/$$tool.in --generate-hashes --no-header --no-annotate \
		--upgrade --quiet --output-file packaging/$$tool.lock || exit; done

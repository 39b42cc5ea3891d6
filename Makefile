# Every command of this project; `make help` lists them. A fresh machine needs Python 3.11 or newer, and make.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NODE_MODULES := clients/javascript/node_modules/.package-lock.json tests/contracts/npm/node_modules/.package-lock.json
WORKERS ?= 2
# Whoever is idle takes over what waits behind the longest tests.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal
COVERAGE := --cov=app --cov=devstack --cov=simulator --cov=dots_gateway_client --cov-branch --cov-report=term:skip-covered --cov-fail-under=85
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url --no-emit-find-links
# Compiled modules are kept whatever the shell says: the tests start hundreds of processes, each of which would compile
# everything anew.
export PYTHONDONTWRITEBYTECODE :=
# Further arguments for pytest, the bench, dev and demo: make unit ARGS="-k feed".
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo dev test check lint format types unit browser javascript pgbouncer test-brokers container contracts campaigns faults faults-short soak mutants bench bench-growth lock hooks clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

install: $(INSTALLED) ## Make .venv from requirements-dev.lock

$(INSTALLED): requirements-dev.lock pyproject.toml scripts/make_venv.sh
	scripts/make_venv.sh $(VENV)
	@touch $@

# Not `install`: what pyproject.toml names newly is in no lock yet, and cannot be installed from one.
$(BIN)/uv:
	$(MAKE) install

demo: install ## Walk five payees through flows, against the simulator, and show every event
	$(BIN)/dots-gateway demo $(ARGS)

dev: install ## Run the whole service here: embedded Postgres, simulator, api, worker
	$(BIN)/dots-gateway dev $(ARGS)

test: browser javascript pgbouncer check ## Everything: installs what is missing, then `check`

# The brokers' own servers are a quarter of a gigabyte, most of it Erlang: they have a target of their own.
check: lint types ## The quality tools, then the whole test suite with branch coverage
	$(PYTEST) --ignore=tests/brokers/real $(COVERAGE) $(ARGS)

lint: install ## Format, lint rules, floors, dependencies, locks, Dockerfile, compose file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	scripts/check_locks.sh
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: install ## Format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: install ## mypy --strict
	$(BIN)/mypy

unit: install javascript pgbouncer ## Only the fast tests: no journeys, no faults, no browser
	$(PYTEST) --ignore=tests/brokers/real --ignore=tests/journeys --ignore=tests/faults --ignore=tests/browser $(ARGS)

browser: install ## Install Chromium for the browser tests where there is none
	scripts/need_chromium.sh $(BIN)/playwright

javascript: $(NODE_MODULES) ## Install Node where there is none, and what the tests need of npm

pgbouncer: ## Install PgBouncer for the tests of poolers where there is none
	scripts/need_servers.sh pgbouncer

%/node_modules/.package-lock.json: %/package-lock.json %/package.json scripts/need_node.sh
	scripts/need_node.sh
	cd $* && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

test-brokers: install ## The tests against real NATS, RabbitMQ, Kafka (Tansu) and Redis servers, which it installs
	scripts/need_servers.sh
	$(BIN)/pytest tests/brokers/real $(ARGS)

container: ## Build the image, run it beside Postgres, and check what the Dockerfile promises
	scripts/container_check.sh

contracts: install ## Write docs/openapi.json, docs/asyncapi.json and docs/events as the service makes them now
	$(BIN)/python -m tests.contracts.documents

campaigns: install ## Break everything, and check that nothing is lost or doubled
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns $(ARGS)

faults: campaigns ## The campaigns, and then that they catch planted bugs
	$(BIN)/python -m tests.faults.campaigns.plant

faults-short: install ## Every campaign at a tenth of its size, without planted bugs
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns --times 0.1 --jobs 3 $(ARGS)

soak: install ## The same campaigns with ten times the figures, for a release
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns --times 10 $(ARGS)

mutants: install ## Change the code a little, thousands of times, and check that a test notices
	$(BIN)/python -m tests.mutants $(ARGS)

bench: install bench/node_receiver/node_modules/.package-lock.json ## Measure webhooks and refreshes per second beside their baselines
	$(BIN)/python bench/run.py $(ARGS)

bench-growth: install ## Measure each query and pass on a grown database beside an empty one
	scripts/need_postgres.sh
	$(BIN)/python -m bench.growth $(ARGS)

lock: $(BIN)/uv ## Make all locks anew from pyproject.toml, keeping the pins that still fit
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra dev --group dev --output-file requirements-dev.lock
	echo hatchling | $(COMPILE) - --constraints requirements-dev.lock --output-file requirements-build.lock
	scripts/check_locks.sh

hooks: install ## Run the fast checks before each commit
	$(BIN)/pre-commit install

clean: ## Remove .venv, caches and the data of `make dev`
	rm -rf $(VENV) $(dir $(NODE_MODULES)) .dev .coverage .coverage.* .hypothesis .import_linter_cache .mutants .mypy_cache .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# Every command of this project; `make help` lists them. A fresh machine needs Python 3.11 or newer, and make.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NODE_MODULES := clients/javascript/node_modules/.package-lock.json tests/contracts/npm/node_modules/.package-lock.json
WORKERS ?= 2
# An idle worker takes over tests that wait behind the longest ones.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal
COVERAGE := --cov=app --cov=devstack --cov=simulator --cov=dots_gateway_client --cov-branch --cov-report=term:skip-covered --cov-fail-under=85
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url --no-emit-find-links
# Python keeps compiled modules whatever the shell sets. Otherwise each of the hundreds of processes that the tests start
# would compile all modules.
export PYTHONDONTWRITEBYTECODE :=
# Further arguments for pytest, the bench, dev and demo: make unit ARGS="-k feed".
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo dev test check lint format types unit browser javascript pgbouncer test-brokers container contracts campaigns faults faults-short soak mutants bench bench-growth lock hooks clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

install: $(INSTALLED) ## Create .venv from requirements-dev.lock

$(INSTALLED): requirements-dev.lock pyproject.toml scripts/make_venv.sh
	scripts/make_venv.sh $(VENV)
	@touch $@

# Without the prerequisite `install`: a new dependency in pyproject.toml is in no lock yet, so `install` does not help.
$(BIN)/uv:
	$(MAKE) install

demo: install ## Walk five payees through flows against the simulator, and print every event
	$(BIN)/dots-gateway demo $(ARGS)

dev: install ## Run the whole service on this machine: embedded Postgres, simulator, api, worker
	$(BIN)/dots-gateway dev $(ARGS)

test: browser javascript pgbouncer check ## Install missing test programs, then run `check`

# The servers of the brokers take a quarter of a gigabyte, most of it Erlang, so `test-brokers` is a separate target.
check: lint types ## Run lint, types and the whole test suite with branch coverage
	$(PYTEST) --ignore=tests/brokers/real $(COVERAGE) $(ARGS)

lint: install ## Check format, lint rules, imports, dependencies, locks, Dockerfile and compose file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	scripts/check_locks.sh
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: install ## Format the code, and apply ruff's automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: install ## Run mypy --strict
	$(BIN)/mypy

unit: install ## Run the tests of single parts: no processes, real HTTP servers or filled databases
	$(PYTEST) -m "not slow" --ignore=tests/brokers/real $(ARGS)

browser: install ## Install Chromium for the browser tests if it is missing
	scripts/need_chromium.sh $(BIN)/playwright

javascript: $(NODE_MODULES) ## Install Node if it is missing, and the npm packages of the tests

pgbouncer: ## Install PgBouncer for the tests of poolers if it is missing
	scripts/need_servers.sh pgbouncer

%/node_modules/.package-lock.json: %/package-lock.json %/package.json scripts/need_node.sh
	scripts/need_node.sh
	cd $* && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

test-brokers: install ## Install NATS, RabbitMQ, Kafka (Tansu) and Redis servers, and run the tests against them
	scripts/need_servers.sh
	$(BIN)/pytest tests/brokers/real $(ARGS)

container: ## Build the image, run it with Postgres, and check the promises of the Dockerfile
	scripts/container_check.sh

contracts: install ## Write the current docs/openapi.json, docs/asyncapi.json and docs/events
	$(BIN)/python -m tests.contracts.documents

campaigns: install ## Run the fault campaigns, which check that nothing is lost or duplicated
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns $(ARGS)

faults: campaigns ## Run the campaigns, and check that they catch planted bugs
	$(BIN)/python -m tests.faults.campaigns.plant

faults-short: install ## Run every campaign at a tenth of its size
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns --times 0.1 --jobs 3 $(ARGS)

soak: install ## Run the campaigns at ten times their size, before a release
	scripts/need_servers.sh nats-server
	$(BIN)/python -m tests.faults.campaigns --times 10 $(ARGS)

mutants: install ## Run mutation testing: change the code in small ways, and check that a test fails
	$(BIN)/python -m tests.mutants $(ARGS)

bench: install bench/node_receiver/node_modules/.package-lock.json ## Compare webhooks and refreshes per second with their baselines
	$(BIN)/python bench/run.py $(ARGS)

bench-growth: install ## Compare each query and pass on a grown database with an empty one
	scripts/need_postgres.sh
	$(BIN)/python -m bench.growth $(ARGS)

lock: $(BIN)/uv ## Update all locks from pyproject.toml, and keep the pins that still fit
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra dev --group dev --output-file requirements-dev.lock
	echo hatchling | $(COMPILE) - --constraints requirements-dev.lock --output-file requirements-build.lock
	scripts/check_locks.sh

hooks: install ## Install the pre-commit hook, which runs the fast checks
	$(BIN)/pre-commit install

clean: ## Delete .venv, caches and the data of `make dev`
	rm -rf $(VENV) $(dir $(NODE_MODULES)) .dev .coverage .coverage.* .hypothesis .import_linter_cache .mutants .mypy_cache .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

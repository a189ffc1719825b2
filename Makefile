# Everything a person or a machine does with this repository. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.ready
NODE_CLIENTS := tests/e2e/node
NODE_READY := $(NODE_CLIENTS)/node_modules/.ready
SUITES_READY := .venv-suites/.ready
PYTEST_WORKERS ?= logical

.PHONY: help setup demo test check format bench bench-sessions bench-peers env-example openapi providers-doc permissions-doc lock clean
.PHONY: db-migrate db-check db-revision

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## the environment (.venv) with every locked dependency

$(READY): locks/dev.txt pyproject.toml scripts/setup
	@bash scripts/setup

demo: $(READY) ## a running Bursar with simulated providers, money and a key (PORT=8081 to choose)
	@exec $(BIN)/bursar demo $(if $(PORT),--port $(PORT))

$(NODE_READY): $(NODE_CLIENTS)/package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "The tests need Node 20 or newer; found: $$(node --version 2>/dev/null || echo none)" >&2; exit 1; }
	@cd $(NODE_CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

$(SUITES_READY): locks/suites.txt $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-suites
	@VIRTUAL_ENV=.venv-suites $(BIN)/uv pip sync --quiet --require-hashes locks/suites.txt
	@touch $@

# What the tests write is best kept in memory where 4 GB of it are free: a copy of a database takes 12 ms, not 200.
IN_MEMORY = df -kP /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 { print "/dev/shm" }'

test: $(READY) $(NODE_READY) $(SUITES_READY) ## every test, then the coverage limits
	@rm -f .coverage .coverage.*
	@memory=$$($(IN_MEMORY)); folder=$$(mktemp -d "$${memory:-$${TMPDIR:-/tmp}}/bursar-test.XXXXXX"); \
		trap 'rm -rf "$$folder"' EXIT; trap 'exit 130' INT TERM; \
		TMPDIR=$$folder $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --cov --cov-report= $(ARGS)
	@$(BIN)/python scripts/coverage_gates.py

check: $(READY) ## format, lint, types, import contracts, tidiness, security, migrations, OpenAPI, locks
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/mypy scripts/*.py
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -p no:randomly tests/test_tidy.py tests/test_dependencies.py
	$(BIN)/python scripts/env_example.py --check
	$(BIN)/python scripts/check_locks.py
	$(BIN)/python scripts/check_vulnerabilities.py
	$(BIN)/python scripts/check_migrations.py
	$(BIN)/python scripts/openapi.py --check
	$(BIN)/python scripts/providers_doc.py --check
	$(BIN)/python scripts/permissions_doc.py --check

format: $(READY) ## format and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## speed of the gateway; writes bench/results/latest.json (needs wrk)
	@command -v wrk >/dev/null || { echo "make bench needs wrk: apt-get install wrk" >&2; exit 1; }
	@$(BIN)/python bench/run.py $(ARGS)

bench-sessions: $(READY) ## a thousand people at the control plane for five minutes; writes bench/results/sessions.json
	@$(BIN)/python bench/sessions.py $(ARGS)

bench-peers: $(READY) ## the same load on other gateways (needs wrk and Node >= 20)
	@command -v wrk >/dev/null || { echo "make bench-peers needs wrk: apt-get install wrk" >&2; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "make bench-peers needs Node 20 or newer; found: $$(node --version 2>/dev/null || echo none)" >&2; exit 1; }
	@$(BIN)/python bench/peers.py $(ARGS)

env-example: $(READY) ## write .env.example from src/bursar/settings
	@$(BIN)/python scripts/env_example.py

openapi: $(READY) ## write docs/openapi.json from the API
	@$(BIN)/python scripts/openapi.py

providers-doc: $(READY) ## write docs/providers.md from the provider contracts
	@$(BIN)/python scripts/providers_doc.py

permissions-doc: $(READY) ## write docs/permissions.md from the table of roles
	@$(BIN)/python scripts/permissions_doc.py

lock: $(READY) ## newest versions that pyproject.toml allows into locks/ (needs the package index)
	@$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header -o locks/runtime.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --group dev -o locks/dev.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --group suites -o locks/suites.txt

db-migrate: $(READY) ## bring the database to the newest schema
	@$(BIN)/bursar db migrate

db-check: $(READY) ## do the books balance?
	@$(BIN)/bursar books check

db-revision: $(READY) ## a new migration: make db-revision NAME="what it does"
	@$(BIN)/python scripts/check_migrations.py --revision "$(NAME)"

clean: ## remove the environment and caches; data in .bursar stays
	rm -rf .venv .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis .import_linter_cache

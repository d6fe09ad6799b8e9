# Every recipe a newcomer needs; `make` alone lists them.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# `make test DATABASE=postgresql` runs the same suite on a real PostgreSQL from a wheel.
DATABASE ?= sqlite
TESTS ?= tests
KILLS ?= 1000
STEPS ?= 50000

.PHONY: help demo test crash simulation mutation check format bench revision lock clean

help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/runtime ## Run a newsroom with 25,000 readers and a local inbox; prints one address
	@$(BIN)/newsletter demo $(ARGS)

test: .venv/dev ## Run the whole suite (DATABASE=postgresql for PostgreSQL, TESTS=path for a part)
	NEWSLETTER_TEST_DATABASE=$(DATABASE) $(BIN)/python -m pytest -n 2 --dist loadgroup $(TESTS)

crash: .venv/dev ## Kill senders a thousand times (KILLS=, DATABASE=, SEED=), then measure how soon sending goes on
	NEWSLETTER_TEST_DATABASE=$(DATABASE) PYTHONPATH=tests $(BIN)/python -m crash.storm --kills $(KILLS) $(SEED:%=--seed %)
	NEWSLETTER_TEST_DATABASE=$(DATABASE) PYTHONPATH=tests $(BIN)/python -m crash.recovery

check: .venv/dev ## Check format, lint, types, templates and the one-way rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --check templates
	$(BIN)/djlint --quiet --lint templates

format: .venv/dev ## Rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint --quiet --reformat templates

simulation: .venv/dev ## Let everything happen to the ledger at random (STEPS=50000, DATABASE=postgresql)
	NEWSLETTER_TEST_DATABASE=$(DATABASE) NEWSLETTER_TEST_STEPS=$(STEPS) $(BIN)/python -m pytest -s tests/simulation

mutation: .venv/dev ## Does a test notice each wrong line of the ledger? (MODULES="recover control" for some)
	PYTHONPATH=tests $(BIN)/python -m mutation $(MODULES)

bench: .venv/dev ## Measure: sending, and the steps that make an edition
	$(BIN)/python bench/editions.py
	$(BIN)/python bench/send.py

revision: .venv/dev ## Write the next migration from what the models say now (MESSAGE="subscribers get a language")
	$(BIN)/python -m newsletter.migrations.revise "$(MESSAGE)"

lock: .venv/dev ## Resolve the dependencies anew into the two lock files (needs uv)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url -q -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url -q -c requirements.lock -o requirements-dev.lock

clean: ## Remove what the recipes made; never data/
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

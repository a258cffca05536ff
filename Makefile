# Every command of the repository. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
ARGS ?=
MEMBERS := shared/stubs shared/core shared/tlog services/auth services/audit clients/python stack witness
MEMBER_PROJECTS := $(MEMBERS:%=%/pyproject.toml)
# compiled at once: else each process that starts before the caches are written compiles it all
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
# the tests start hundreds of processes; where bytecode is not to be written, each would compile
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
COMPILE = ../$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url $(ARGS)
IMAGE := .build/protos.binpb
BEFORE := .build/protos-before.binpb
TYPESCRIPT := clients/typescript
# what npm itself writes last
NODE_MODULES := $(TYPESCRIPT)/node_modules/.package-lock.json
# protoc finds its plugins on the path
PROTO = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py
# what the protos must stay compatible with
AGAINST ?= $(if $(CI),HEAD~1,main)

.PHONY: help setup up demo test cover soak bench bench-search growth proto reference fmt lint check migrate down clean lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev $(NODE_MODULES) ## make .venv with everything that runs, tests and checks need

up: $(VENV)/.runtime ## start Postgres, auth, audit and the gateway; Ctrl-C stops them
	@$(BIN)/smart-audit up $(ARGS)

demo: $(VENV)/.runtime ## sign up, log in, import real events, prove one
	@$(BIN)/smart-audit demo $(ARGS)

test: $(VENV)/.dev $(NODE_MODULES) ## run the tests
	@$(PYTEST) -n 3 --dist worksteal -m "not soak" $(ARGS)

cover: $(VENV)/.dev $(NODE_MODULES) ## run the tests and say what they cover; takes half as long again
	@$(PYTEST) -n 3 --dist worksteal -m "not soak" \
		--cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

soak: $(VENV)/.dev $(NODE_MODULES) ## run the long fault, growth and fuzz tests
	@$(PYTEST) -m soak -o faulthandler_timeout=3600 $(ARGS)

bench: $(VENV)/.dev ## measure, print the table and write bench.json
	@$(BIN)/python -m benchmarks $(ARGS)

bench-search: $(VENV)/.dev ## measure how well questions in plain words are answered
	@$(BIN)/python -m benchmarks.search_quality $(ARGS)

growth: $(VENV)/.dev ## measure a log of 5 million events against a new one; takes long
	@$(BIN)/python -m benchmarks.growth $(ARGS)

proto: $(VENV)/.dev ## generate stubs, documents, OpenAPI and the TypeScript client from the protos
	@$(PROTO)
	@$(BIN)/python protos/document_roles.py
	@$(BIN)/python -m protos.openapi
	@$(BIN)/python -m protos.typescript

reference: $(VENV)/.dev ## write docs/cli.md and docs/settings.md
	@$(BIN)/python clients/python/document_cli.py
	@$(BIN)/python services/document_settings.py

fmt: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

lint: $(VENV)/.dev ## check format, lint, types, import contracts and protos
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	@mkdir -p $(dir $(IMAGE))
	$(BIN)/lint-imports --no-cache >.build/imports.txt || { cat .build/imports.txt; exit 1; }
	$(PROTO) --check
	$(BIN)/python protos/document_roles.py --check
	$(BIN)/python clients/python/document_cli.py --check
	$(BIN)/python services/document_settings.py --check
	$(BIN)/python -m protos.openapi --check
	$(BIN)/python -m protos.typescript --check
	@$(PROTO) --image $(IMAGE)
	$(BIN)/buf lint $(IMAGE)
	@if git rev-parse --verify --quiet $(AGAINST):protos >/dev/null; then \
		$(PROTO) --image $(BEFORE) --of $(AGAINST) && \
		echo "$(BIN)/buf breaking $(IMAGE) --against $(AGAINST)" && \
		$(BIN)/buf breaking $(IMAGE) --against $(BEFORE); fi

check: lint test ## everything that has to pass before a commit

migrate: $(VENV)/.runtime ## bring the schemas of DATABASE_URL (or the embedded database) up to date
	@$(BIN)/smart-audit migrate $(ARGS)

down: $(VENV)/.runtime ## stop what `make up` started
	@$(BIN)/smart-audit down $(ARGS)

clean: ## remove .venv and caches; data in .smart-audit stays
	rm -rf $(VENV) $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/dist .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: $(VENV)/.bootstrap # pin requirements/*.in with hashes, for maintainers
	@cd requirements && for name in bootstrap runtime dev; do \
		$(COMPILE) $$name.in -o $$name.txt || exit 1; done
	@cd requirements && for name in build auth audit gateway; do \
		$(COMPILE) -c runtime.txt $$name.in -o $$name.txt || exit 1; done
	@cd requirements && $(COMPILE) --no-deps pages.in -o pages.txt

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		"Smart Audit needs Python 3.11 or newer, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" \
		% sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks the venv module; install your system's python3-venv package" >&2; exit 1; }
	@echo "making $(VENV) with hash-pinned packages; the first time takes about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/bootstrap.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.bootstrap requirements/runtime.txt requirements/pages.txt $(MEMBER_PROJECTS)
	@$(INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements/pages.txt
	@$(INSTALL) --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@$(INSTALL) --no-compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@

# Node and npm come as a Python package; what npm installs is for building and testing the client.
$(NODE_MODULES): $(VENV)/.dev $(TYPESCRIPT)/package.json $(TYPESCRIPT)/package-lock.json
	@$(BIN)/python -m tests.support.node npm ci --loglevel=error
	@touch $@

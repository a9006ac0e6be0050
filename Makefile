# Everything runs in .venv, which is made on first use from requirements/dev.txt and brought up to date when
# the pins change. Needs Python 3.11 or newer with venv and pip, nothing else.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2

PINS := requirements/dev.txt
BIN  := $(VENV)/bin
RUN  := $(BIN)/python -m

.DEFAULT_GOAL := help
.PHONY: help demo check test test-slow test-all fix lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.core ## from simulated raw tables to scores: snapshots, train, validate, score
	$(BIN)/chs-ml demo

check: $(VENV)/.dev ## lint, formatting, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev ## the quick tests
	$(RUN) pytest -n $(JOBS) -m "not slow"

# pytest says 5 where no test is marked slow; every other code but 0 is a failure.
test-slow: $(VENV)/.dev ## the tests marked slow
	@code=0; $(RUN) pytest -m slow --collect-only -qq >/dev/null 2>&1 || code=$$?; \
	if [ $$code -eq 5 ]; then echo "No test is marked slow."; \
	else $(RUN) pytest -n $(JOBS) -m slow; fi

test-all: $(VENV)/.dev ## all tests
	$(RUN) pytest -n $(JOBS)

fix: $(VENV)/.dev ## repair lint and formatting where that is safe
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

lock: $(VENV)/.uv ## pin the newest versions that fit pyproject.toml
	$(RUN) uv pip compile --quiet --universal --fork-strategy fewest --upgrade --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra dev --output-file $(PINS) pyproject.toml

clean: ## remove .venv, caches and build artefacts
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The pins are constraints: the package as the demo needs it, with the engine for raw tables, and the package
# with all tools come from one file. Where uv
# cannot reach the package index because only pip is set up for it, pip does the same more slowly.
define install
	$(RUN) uv pip install --quiet --python $(BIN)/python --constraint $(PINS) --build-constraint $(PINS) -e '$(1)' \
	|| PIP_CONSTRAINT=$(PINS) $(RUN) pip install --quiet -e '$(1)'
endef

$(VENV)/.uv: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "chs_ml needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
		echo "Name another one, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| $(PYTHON) -m venv --clear $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --constraint $(PINS) uv
	@touch $@

$(VENV)/.core: $(VENV)/.uv pyproject.toml
	$(call install,.[duckdb])
	@touch $@

$(VENV)/.dev: $(VENV)/.uv pyproject.toml
	$(call install,.[dev])
	@touch $(VENV)/.core $@

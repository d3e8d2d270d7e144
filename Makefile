# `make` lists what there is. A clean clone needs Python 3.11 or later, and nothing is written outside the checkout.
# Works with GNU make 3.81 (macOS) and later.

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
endif

TOOLS := .cache/tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
PY := .venv/bin/python
# Each test process has its own servers. More than two cores need: tests of faults and of Kafka mostly wait.
PROCESSES ?= 4
RUN_READY := .venv/.ready-to-run
DEV_READY := .venv/.ready-to-develop

UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export UV_CACHE_DIR
export UV_PYTHON_DOWNLOADS := never
# Without bytecode, each of the processes that `make run` and `make test` start compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Python 3.11 or later is needed and $(PYTHON) is not: make PYTHON=/path/to/python3.12" >&2; exit 1; }
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url $(ARGS) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run check test mutants fuzz chaos lint fmt docs bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_READY) ## Start the whole platform here; ARGS="--port 9000 --no-demo", see ARGS=--help
	@exec $(PY) -m ticketing.cli up --with-parent $(ARGS)

# For the inner loop: within 90 s once mypy has its cache. Tests that would begin later than CHECK_SECONDS are skipped.
CHECK_SECONDS ?= 45
check: $(DEV_READY) ## Check style, types, structure and the tests of what has changed, within 90 s
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check --quiet
	@$(PY) -m mypy
	@exec $(PY) -m pytest -n 2 --dist loadfile -q -rfE -m "not kafka and not browser" \
		-p tests.support.plugins.time_budget --seconds $(CHECK_SECONDS) $(ARGS) $$($(PY) -m audits.changed_tests)

# tests/support/plugins/distribution.py says which tests share a process, and which come first.
test: $(DEV_READY) ## Run the tests; ARGS="tests/infra -k postgres", PROCESSES=1 for one after the other
	@exec $(PY) -m pytest -n $(PROCESSES) --dist loadfile $(ARGS)

mutants: $(DEV_READY) ## Apply each mutant to the source; the tests must fail for each; ARGS="overtaken"
	@exec $(PY) -m tests.mutants $(ARGS)

fuzz: $(DEV_READY) ## Send 10,000 random API calls and 200,000 forgeries; ARGS="-k codes"
	@FUZZ=full exec $(PY) -m pytest tests/fuzz --timeout 3600 --show-capture=no $(ARGS)

chaos: $(DEV_READY) ## Inject faults under load, verify the data; ARGS="--rounds 300 kills", ARGS=--short
	@exec $(PY) -m tests.chaos $(ARGS)

lint: $(DEV_READY) ## Check style, types, dependencies and secrets; AUDIT=required fails without the advisories
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(PY) -m audits.secrets
	@$(PY) -m audits.dependencies

fmt: $(DEV_READY) ## Format the code and fix what can be fixed
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

docs: $(RUN_READY) ## Write the pages of docs/ that follow from the code
	@$(PY) -m ticketing.docgen docs

bench: $(DEV_READY) ## Run the benchmarks; ARGS="holds losers" for some of them, BENCH_SECONDS=1 for a trial
	@exec $(PY) -m benchmarks $(ARGS)

lock: $(UV) ## Update the lock files; ARGS=--upgrade takes the newest versions
	@$(COMPILE) -o requirements.lock
	@$(COMPILE) --group dev -o requirements-dev.lock

clean: ## Remove everything generated here except .data and .env
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist artifacts
	find . -name __pycache__ -prune -exec rm -rf {} +

# The development lock contains the runtime lock, so one installation serves both.
$(RUN_READY): requirements.lock pyproject.toml | $(PY)
	@echo "Installing the runtime dependencies"
	@$(UV) pip install --quiet --compile-bytecode --python $(PY) --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps -e .
	@touch $@

$(DEV_READY): requirements-dev.lock requirements.lock pyproject.toml | $(PY)
	@echo "Installing the development dependencies"
	@$(UV) pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps -e .
	@touch $(RUN_READY) $@

# A dangling link to a removed Python counts as missing: the environment is created again.
$(PY): | $(UV)
	@$(CHECK_PYTHON)
	@rm -rf .venv
	@$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv

# Debian's python3 lacks ensurepip, which venv needs for pip; pip itself may be installed there.
$(TOOLS)/bin/uv:
	@$(CHECK_PYTHON)
	@echo "Fetching uv into $(TOOLS)"
	@rm -rf $(TOOLS)
	@{ $(PYTHON) -m venv $(TOOLS) >/dev/null 2>&1 \
	    && $(TOOLS)/bin/python -m pip install --quiet --no-cache-dir uv; } \
	  || { rm -rf $(TOOLS); $(PYTHON) -m pip install --quiet --no-cache-dir --target $(TOOLS) uv; } \
	  || { rm -rf $(TOOLS); echo "uv could not be fetched with $(PYTHON): install uv, or python3-venv." >&2; exit 1; }

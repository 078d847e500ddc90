# Needs Python 3.11 or newer, nothing else. Another one: make setup PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Some environments forbid Python to keep what it has compiled; every process would do it all again.
export PYTHONDONTWRITEBYTECODE :=
CODE := hub triggers connectors tests scripts benchmarks
ARGS ?=
# What is installed along with others, and takes its time to be read, is left out.
PYTEST := $(BIN)/python -m pytest -p no:faker

.PHONY: run test lint format docs bench setup lock clean

run: setup  ## the hub with the example project; Ctrl-C stops it
	@$(BIN)/hub dev examples

# The browser's tests have a process of their own: their driver keeps an event loop running.
test: setup lint  ## lint, then every test; one file: make test ARGS=tests/unit/test_tether.py
ifeq ($(ARGS),)
	@$(BIN)/python scripts/browser.py
	$(PYTEST) tests/ui -n 2
	$(PYTEST) --ignore=tests/ui -n 2 --dist loadgroup --no-loadscope-reorder
else
	$(PYTEST) $(ARGS)
endif

lint: setup  ## style, types, and which room may import which; of the web page too
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/page.py --check

format: setup  ## put the code into the house style
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: setup  ## docs/nodes.md and hub/nodes.pyi anew, from the classes of nodes and connectors
	$(BIN)/hub schema --docs --out docs/nodes.md
	$(BIN)/python -m scripts.stubs

bench: setup  ## what the README quotes, under 25 minutes; parts: make bench ARGS="resume cli", quick: ARGS="cli --quick"
	$(BIN)/python -m benchmarks $(ARGS)

setup:  ## .venv with what requirements.lock names, and the web page; quick when there is nothing to do
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) scripts/setup.py
	@$(BIN)/python scripts/page.py

lock: setup  ## requirements.lock from pyproject.toml (needs uv on the PATH); newer versions: make lock UPGRADE=--upgrade
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --quiet $(UPGRADE) \
		--universal --python-version 3.11 --all-extras --group test --group build --group bench \
		--generate-hashes --no-annotate --no-emit-index-url --output-file requirements.lock

clean:  ## remove what the other commands have made
	rm -rf .venv .bench .hub hub/web ui/node_modules examples/.hub .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Two commands set everything up on a fresh machine: `make demo` and `make test`. Both make .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check docs bench clean help

help:
	@echo "make demo    train LeNet-5 on handwritten digits and see what it says"
	@echo "make test    all tests, with coverage"
	@echo "make check   style, types and the direction of imports"
	@echo "make docs    the API reference (docs/site) and the CLI reference (docs/cli.md)"
	@echo "make bench   the benchmarks that need no data of yours"

demo: $(VENV)/ready
	@$(BIN)/python examples/demo.py

test: $(VENV)/ready-dev
	@# Two processes of one thread each: they would wait for each other's threads otherwise.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --cov --cov-report=term

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/ready-dev
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_api.py

bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/cold_layers.py
	$(BIN)/python benchmarks/way.py digits --from lenet5

clean:
	rm -rf $(VENV) docs/site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mirada needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing mirada and what it needs into $(VENV) (torch is large: this takes a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

# `make demo` and `make test` are all a fresh clone needs: both make .venv first if it is not there.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-gpu lint types docs clean

demo: $(INSTALLED)
	$(BIN)/spatialembed demo --out demo

# One thread a process, since tests run side by side, one process a core; a process that is done
# takes over tests that lie beside each other, for which what they share is made once.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

# What tests/ compares on a card with the CPU's results; all of it is skipped where there is none.
test-gpu: $(INSTALLED)
	$(BIN)/pytest -m gpu -rs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# The pages of docs/ as a site in site/; docs/pictures.py makes their pictures anew.
docs: $(INSTALLED)
	$(BIN)/zensical build --strict

# Leaves .venv and runs/ alone.
clean:
	rm -rf build dist demo site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

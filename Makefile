# `make help` lists the targets. Each one creates .venv on demand from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
ROOMS := cli fluid proofs_checks stochastic theory

# The programs here are small: on busy processors BLAS threads that wait for each other cost tenfold.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help verify test book lint types contracts wheel bench readme lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 11

verify: $(INSTALLED)  ## check the claims, write ledger.json and ledger.html
	$(BIN)/kurtz verify --level quick --json ledger.json --html ledger.html

test: $(INSTALLED)  ## run the tests and the doctests
	$(BIN)/python -m pytest -n 2

# --all reads every page again, for Sphinx does not know which pages a change of kurtz touches.
# Matplotlib may announce its font cache on standard error, where a page must print nothing.
book: $(INSTALLED)  ## execute and build the book into book/_build/html; any warning fails
	$(BIN)/python -c "import matplotlib.font_manager"
	$(BIN)/jupyter-book build book --all -W -n --keep-going

lint: $(INSTALLED)  ## check style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy does not see through the package-dir mapping: build/types/kurtz is the checkout by its import name.
types: $(INSTALLED)  ## check types (mypy, strict)
	mkdir -p build/types && ln -sfn ../.. build/types/kurtz
	MYPYPATH=build/types $(BIN)/mypy $(ROOMS:%=-p kurtz.%)

contracts: $(INSTALLED)  ## check which room imports which (import-linter)
	$(BIN)/lint-imports

# The lock without its hashes serves pip as constraints; only what the wheel asks for is installed.
wheel: $(INSTALLED)  ## build the wheel into dist/ and try it in an empty environment
	rm -rf build/lib build/bdist.* build/fresh dist
	$(BIN)/python -m build --wheel --no-isolation
	sed -E '/^ +--hash/d; s/ *\\$$//' requirements.lock > build/constraints.txt
	$(BIN)/python -m venv build/fresh
	build/fresh/bin/pip install -qq --constraint build/constraints.txt dist/*.whl
	cd build/fresh && bin/kurtz --version && bin/kurtz claims && bin/kurtz plan \
	    "$$(bin/python -c 'from importlib.resources import files; print(files("kurtz.theory") / "instances/two-class.toml")')" --json

bench: $(INSTALLED)  ## measure speed against peers and a C kernel
	set -e; for bench in benchmarks/bench_*.py; do $(BIN)/python $$bench; done

readme: $(INSTALLED)  ## renew README's ledger excerpt and figures
	$(BIN)/python book/readme.py

# No addresses, no paths: the lock reads the same wherever it was made.
lock: $(INSTALLED)  ## resolve the dependencies anew into requirements.lock
	test -x $(BIN)/uv || $(BIN)/pip install -qq uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	    --quiet --output-file requirements.lock

clean:  ## remove what the other targets wrote, except .venv
	rm -rf build dist *.egg-info book/_build ledger.json ledger.html
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(ROOMS) tests -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	touch $@

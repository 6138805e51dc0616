# `make help` lists what can be done. Each environment is made on first use and installed again only when
# pyproject.toml changes; nothing is installed outside this folder.

PYTHON ?= python3
WORKERS ?= auto
ARGS ?=

# Interpreters of `test-all`; where a name does not lead to one, name a path: make test-all PY312=/path/to/python3.12
VERSIONS := 3.11 3.12 3.13
PY311 ?= python3.11
PY312 ?= python3.12
PY313 ?= python3.13

export PIP_DISABLE_PIP_VERSION_CHECK := 1

BIN := .venv/bin
# pytest ends with 5 where no test was selected
NONE_IS_FINE := || [ $$? -eq 5 ]

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help install demo test test-all test-lowest lint format bench calibrate replicate docs dist clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.with-plots .venv/.with-test .venv/.with-lint  ## the package and all that developing it needs, in .venv

demo: .venv/.with-plots  ## two models of house values, their reports and a picture (ARGS=--quick for a fast look)
	$(BIN)/micromacro demo $(ARGS)

test: .venv/.with-plots .venv/.with-test  ## the tests, the slow ones left out (ARGS="tests/cli -x" for some)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-all:  ## the tests, the slow ones too, on every supported Python
	@failed=; \
	for version in $(VERSIONS); do \
	    echo "== Python $$version"; \
	    $(MAKE) --no-print-directory test-$$version || failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed or missing: Python$$failed" >&2; exit 1; fi

test-%: .venv-%/.with-test
	.venv-$*/bin/pytest -n $(WORKERS) --dist loadgroup -m "not calibrate" $(ARGS)

test-lowest: .venv-lowest/.with-test  ## the tests with the oldest packages that pyproject.toml admits
	.venv-lowest/bin/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: .venv/.with-plots .venv/.with-lint  ## ruff, pyright, and the floors by import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

format: .venv/.with-lint  ## let ruff lay out the code and mend what it safely can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.with-plots .venv/.with-jax  ## every benchmarks/bench_*.py in turn
	@for file in $(or $(wildcard benchmarks/bench_*.py),none); do \
	    if [ $$file = none ]; then echo "there are no benchmarks yet"; \
	    else echo "== $$file"; $(BIN)/python $$file || exit 1; fi; \
	done

calibrate: .venv/.with-test .venv/.with-jax  ## calibration of the engines, hours; goes on where it stopped, writes its tables
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m calibrate $(ARGS); status=$$?; \
	$(BIN)/python -m tests.calibrate.tables && { [ $$status -eq 0 ] || [ $$status -eq 5 ]; }

replicate: .venv/.with-plots  ## published and classical models, beside the numbers of others (ARGS=folder with data/ and reference/)
	$(BIN)/python -m replications $(ARGS)

docs: .venv/.with-plots .venv/.with-docs  ## the documentation, in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -j auto -b html docs docs/_build/html
	$(BIN)/python docs/_check.py docs/_build/html

dist: .venv-dist/.with-build  ## sdist and wheel in dist/, and the wheel tried in a bare environment (PYTHON=python3.12 for another)
	rm -rf dist .venv-bare
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/python -m twine check --strict dist/*
	$(call make-venv,$(PYTHON),.venv-bare)
	.venv-bare/bin/python -m pip install --quiet dist/*.whl || .venv-dist/bin/python -m pip --python .venv-bare/bin/python install --quiet dist/*.whl
	.venv-bare/bin/python tools/try_wheel.py README.md

clean:  ## remove environments, caches and all that was built
	rm -rf .venv .venv-* build dist docs/_build docs/generated docs/reference docs/jupyter_execute micromacro-demo
	rm -rf .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# -- environments ------------------------------------------------------------------------------------------------

# $(call make-venv,python,folder). Some systems ship Python without ensurepip; their pip then fills the folder.
define make-venv
$(1) -m venv $(2) || { $(1) -m venv --clear --without-pip $(2) && $(1) -m pip --python $(2)/bin/python install pip; }
touch $@
endef

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "micromacro needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(call make-venv,$(PYTHON),.venv)

.venv/.with-%: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

.venv-dist/.made:
	$(call make-venv,$(PYTHON),.venv-dist)

.venv-dist/.with-build: | .venv-dist/.made
	.venv-dist/bin/python -m pip install --quiet build twine
	touch $@

.venv-lowest/.made:
	python=$$(sh tools/find-python.sh 3.11 $(PY311)) || exit 1; $(call make-venv,"$$python",.venv-lowest)

.venv-lowest/.with-test: pyproject.toml tools/lowest.py | .venv-lowest/.made
	.venv-lowest/bin/python tools/lowest.py pyproject.toml > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --editable ".[plots,test]" --constraint .venv-lowest/lowest.txt
	touch $@

.venv-%/.made:
	python=$$(sh tools/find-python.sh $* $(PY$(subst .,,$*))) || exit 1; $(call make-venv,"$$python",.venv-$*)

.venv-%/.with-test: pyproject.toml | .venv-%/.made
	.venv-$*/bin/python -m pip install --quiet --editable ".[plots,test]"
	touch $@

# make demo   the main job on the first agent, without a key
# make test   every check: format, lint, types, tests (a browser among them)
# make lab    the notebooks in JupyterLab
# make bench  the figures that the documents quote

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lab bench clean
.DEFAULT_GOAL := demo

demo: .venv/installed
	$(BIN)/workbench run notebooks/compare.ipynb --out outputs/demo

test: .venv/installed-dev
	@scripts/install-chromium
	@scripts/install-front
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lab: .venv/installed
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/author.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

bench: .venv/installed-dev
	$(BIN)/python -m tests.benchmarks

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt $(wildcard src/workbench/widgets/lab/* src/workbench/widgets/lab/static/*) notebooks/author.ipynb | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv outputs/demo

# make demo   the main job on the first agent, without a key
# make test   every check: format, lint, types, tests (a browser among them)
# make lab    the first agent in JupyterLab, in a notebook that git does not see
# make bench  the figures that the documents quote
# make verify the reading of the corpus, held against the Claude Code program (400 MB to install)
# make docs   the documentation, in docs/_build/html; warnings are errors
# make pictures  the pictures in docs/ anew, by the browser tests
# make dist   the wheel and the sdist, checked as a registry would; the same bytes from the same commit

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lab bench verify docs pictures dist clean
.DEFAULT_GOAL := demo

demo: .venv/installed
	$(BIN)/workbench run notebooks/compare.ipynb --out outputs/demo -p leave_out "clarifying question"

test: .venv/installed-dev
	@scripts/install-chromium
	@scripts/install-front
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lab: .venv/installed
	$(BIN)/workbench open agents/senior-python-architect.md

bench: .venv/installed-dev
	$(BIN)/python -m tests.benchmarks

verify: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[claude-code]'
	$(BIN)/workbench verify $${WORKBENCH_CORPUS:-../shared/corpus}

docs: .venv/installed-dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html

pictures: .venv/installed-dev
	@scripts/install-chromium
	WORKBENCH_SCREENSHOTS=outputs/screenshots $(BIN)/pytest tests/browser/test_opening.py tests/browser/test_author.py
	cp outputs/screenshots/opening-launcher.png docs/launcher.png
	cp outputs/screenshots/author.png docs/author.png

dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: .venv/installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt $(wildcard src/workbench/widgets/lab/* src/workbench/widgets/lab/static/* src/workbench/widgets/lab_server/*) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv dist docs/_build outputs/demo

# All targets work in a fresh clone: the first target that needs .venv makes it.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-quick test-docs test-page browser test-wheel lint docs clean

CHROMIUM = /usr/bin/chromium
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

demo: .venv/installed
	$(BIN)/crmnet demo -o crmnet-demo

# Two processes, each with one thread: most tests do not use a second thread.
test: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not docs"

test-quick: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not docs"

# Runs every code block of README.md and docs/, and prints how many ran.
test-docs: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist load tests/docs

# Builds twice, compares, and predicts with the wheel in an environment of its own.
test-wheel: .venv/torch
	PYTHON=$(PYTHON) .ci/test-wheel

# The web page, driven in Chromium.
test-page: .venv/installed-test .venv/installed-page
	@test -x $(CHROMIUM) || { echo "make test-page needs $(CHROMIUM): run make browser" >&2; exit 1; }
	$(BIN)/python -m pytest tests/page

# Debian and Ubuntu. Does nothing if Chromium is there.
browser:
	@test -x $(CHROMIUM) || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes --no-install-recommends chromium; }

lint: .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

clean:
	rm -rf .venv build docs/_build

# torch is installed first and separately, so that pip takes the pinned version from its configured index.
.venv/torch: constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	touch $@

.venv/installed: .venv/torch pyproject.toml
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-%: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

.PHONY: demo test campaign lint types lock clean
PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

demo: .venv/demo.stamp
	$(BIN)/tracker demo $(DEMO_ARGS)

test: .venv/test.stamp
	$(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder -m "not train and not campaign"

# Kills at many moments, what waits for long, and many times the examples of each property: by hand, before a release.
campaign: .venv/test.stamp
	$(BIN)/python -m pytest --numprocesses=4 -m campaign
	$(BIN)/python -m pytest --numprocesses=4 -m "not train" --hypothesis-profile=campaign $$(grep -l "@given" tests/test_*.py)

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test.stamp
	$(BIN)/mypy

.venv/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv

# The lock files carry hashes; the project itself is installed in place, without asking for anything more.
.venv/demo.stamp: requirements.lock pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

.venv/test.stamp: requirements-dev.lock .venv/demo.stamp
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	touch $@

lock: .venv/test.stamp
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --allow-unsafe --output-file requirements.lock pyproject.toml requirements-build.in
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --allow-unsafe --extra dev --extra postgres --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv .demo dist

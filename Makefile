# Everything runs in a virtual environment of the project's own; `make test` and `make demo` need only Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_ARGS ?=
MATRIX_ARGS ?=
MUTATION_ARGS ?=
PLATFORM_ARGS ?=
AIRFLOW := .venv-airflow
TYPING := .venv-typing
# The releases of all tools, so that two machines agree; `make LOCK= …` takes the newest that pyproject.toml allows.
LOCK ?= $(wildcard requirements-dev.lock)
LOCK_ARGS ?=
LOCKED := test platform typing lint hooks bench docs mutation
PIP_INSTALL := pip install --quiet --disable-pip-version-check

.PHONY: demo platform test matrix airflow bench lint hooks lock typing docs coverage campaign mutation clean

$(VENV)/ready: pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP_INSTALL) --upgrade pip
	$(BIN)/$(PIP_INSTALL) $(LOCK:%=--constraint %) --editable '.[yaml]'
	touch $@

# Each group of tools is installed when a target first needs it.
$(VENV)/ready-%: $(VENV)/ready
	$(BIN)/$(PIP_INSTALL) $(LOCK:%=--constraint %) --group $*
	touch $@

demo: $(VENV)/ready
	$(BIN)/python examples/demo/demo.py

platform: $(VENV)/ready-platform
	$(BIN)/python examples/platform/run.py $(PLATFORM_ARGS)

test: $(VENV)/ready-test
	$(BIN)/python -m pytest -n auto $(TEST_ARGS)

# The suite on every Python that pyproject.toml names and that is here, each in a virtual environment of its own.
matrix:
	MATRIX_ARGS='$(MATRIX_ARGS)' MAKE='$(MAKE)' $(PYTHON) tools/matrix.py

# Airflow brings a hundred packages with bounds of their own, so it stays apart, and is not in the lock file.
$(AIRFLOW)/ready: pyproject.toml
	$(PYTHON) -m venv $(AIRFLOW)
	$(AIRFLOW)/bin/$(PIP_INSTALL) --upgrade pip
	$(AIRFLOW)/bin/$(PIP_INSTALL) --editable . --group airflow
	touch $@

airflow: $(AIRFLOW)/ready
	$(AIRFLOW)/bin/python -m pytest tests/integrations/test_airflow.py

lint: $(VENV)/ready-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Checks before each commit: .pre-commit-config.yaml.
hooks: $(VENV)/ready-lint $(VENV)/ready-hooks
	$(BIN)/pre-commit install

# One file for every Python and platform, by markers. What is pinned stays until LOCK_ARGS=--upgrade, or
# LOCK_ARGS='--upgrade-package NAME'. It names no registry: each machine has its own.
lock: $(VENV)/ready-lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command 'make lock' --output-file requirements-dev.lock $(LOCK_ARGS) \
	    --extra yaml pyproject.toml $(LOCKED:%=--group pyproject.toml:%)

# What a type checker says to users, who have the wheel and not this directory.
$(TYPING)/ready: pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(TYPING)
	$(TYPING)/bin/$(PIP_INSTALL) --upgrade pip
	$(TYPING)/bin/$(PIP_INSTALL) $(LOCK:%=--constraint %) --group typing
	touch $@

typing: $(TYPING)/ready
	$(TYPING)/bin/$(PIP_INSTALL) $(LOCK:%=--constraint %) .
	cd typing_tests && ../$(TYPING)/bin/mypy --strict . && ../$(TYPING)/bin/basedpyright --pythonpath ../$(TYPING)/bin/python .

bench: $(VENV)/ready-bench
	$(BIN)/python -m bench

docs: $(VENV)/ready-docs
	$(BIN)/mkdocs build --strict --quiet

coverage: $(VENV)/ready-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto $(TEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage json --quiet -o - | $(BIN)/python tests/coverage_floor.py

# The long form of the tests of crashes, power loss, failing calls, hostile stores and many processes: 5,000 kills, every
# page, every moment.
campaign: $(VENV)/ready-test
	STRONGROOM_CAMPAIGN=1 $(BIN)/python -m pytest -n auto tests/campaign $(TEST_ARGS)

# Begins where the last run ended; `make clean` forgets it. A mutant that survives is shown with its name, and is run
# again, against new tests, when MUTATION_ARGS names it.
mutation: $(VENV)/ready-test $(VENV)/ready-mutation
	$(BIN)/mutmut run $(MUTATION_ARGS)
	$(BIN)/mutmut results

clean:
	rm -rf $(VENV) .venv-3.* $(AIRFLOW) $(TYPING) site .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants

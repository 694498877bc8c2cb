# Everything runs in a virtual environment of the project's own; `make test` and `make demo` need only Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_ARGS ?=
MUTATION_ARGS ?=
PLATFORM_ARGS ?=
AIRFLOW := .venv-airflow
TYPING := .venv-typing

.PHONY: demo platform test airflow bench lint typing docs coverage campaign mutation clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[yaml]'
	touch $@

# Each group of tools is installed when a target first needs it.
$(VENV)/ready-%: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --group $*
	touch $@

demo: $(VENV)/ready
	$(BIN)/python examples/demo/demo.py

platform: $(VENV)/ready-platform
	$(BIN)/python examples/platform/run.py $(PLATFORM_ARGS)

test: $(VENV)/ready-test
	$(BIN)/python -m pytest -n auto -rfEs $(TEST_ARGS)

# Airflow brings a hundred packages with bounds of their own, so it stays apart.
$(AIRFLOW)/ready: pyproject.toml
	$(PYTHON) -m venv $(AIRFLOW)
	$(AIRFLOW)/bin/pip install --quiet --disable-pip-version-check --upgrade pip
	$(AIRFLOW)/bin/pip install --quiet --disable-pip-version-check --editable . --group airflow
	touch $@

airflow: $(AIRFLOW)/ready
	$(AIRFLOW)/bin/python -m pytest tests/integrations/test_airflow.py

lint: $(VENV)/ready-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What a type checker says to users, who have the wheel and not this directory.
$(TYPING)/ready: pyproject.toml
	$(PYTHON) -m venv $(TYPING)
	$(TYPING)/bin/pip install --quiet --disable-pip-version-check --upgrade pip
	$(TYPING)/bin/pip install --quiet --disable-pip-version-check --group typing
	touch $@

typing: $(TYPING)/ready
	$(TYPING)/bin/pip install --quiet --disable-pip-version-check .
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
	STRONGROOM_CAMPAIGN=1 $(BIN)/python -m pytest -n auto -rfEs tests/campaign $(TEST_ARGS)

# Begins where the last run ended; `make clean` forgets it. A mutant that survives is shown with its name, and is run
# again, against new tests, when MUTATION_ARGS names it.
mutation: $(VENV)/ready-test $(VENV)/ready-mutation
	$(BIN)/mutmut run $(MUTATION_ARGS)
	$(BIN)/mutmut results

clean:
	rm -rf $(VENV) $(AIRFLOW) $(TYPING) site .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants

"""From secrets to variables."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.cli import environment
from strongroom.errors import InvalidInputError, InvalidNameError, InvalidValueError

from .conftest import VALUE


@pytest.mark.parametrize(
    ("name", "prefix", "variable"),
    [
        ("POSTGRES_PASSWORD", "", "POSTGRES_PASSWORD"),
        ("lower", "", "lower"),
        ("auth-service/db/password", "", "AUTH_SERVICE_DB_PASSWORD"),
        ("auth-service/db/password", "auth-service/", "DB_PASSWORD"),
        ("auth-service/password", "auth-service/", "password"),
        ("a.b", "", "A_B"),
    ],
)
def test_a_name_makes_a_variable(name: str, prefix: str, variable: str) -> None:
    assert environment.variable_of(name, prefix) == variable


@pytest.mark.parametrize("name", ["1st", "with space", "ß", "a=b", "a$b"])
def test_a_name_that_makes_no_variable_is_an_error_that_names_the_way_out(name: str) -> None:
    with pytest.raises(InvalidNameError, match="--env VARIABLE="):
        environment.variable_of(name)


@pytest.mark.parametrize(
    "variable",
    ["PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH",
     "NODE_OPTIONS", "PERL5LIB", "RUBYOPT", "GIT_SSH_COMMAND", "SECRETS_MASTER_KEY", "STRONGROOM_STORE",
     "BASH_FUNC_ls"],
)  # fmt: skip
def test_a_variable_that_steers_programs_is_refused(variable: str) -> None:
    with pytest.raises(InvalidInputError, match=variable):
        environment.variables_of(variable, variable, {"value": "x"})


@pytest.mark.parametrize(
    ("data", "variables"),
    [
        ({"value": "x"}, {"A": "x"}),
        ({"value": b"x"}, {"A": "x"}),
        ({"user": "me", "db-name": "x"}, {"A_USER": "me", "A_DB_NAME": "x"}),
        ({"port": 5432, "on": True, "tags": ["a"], "none": None},
         {"A_PORT": "5432", "A_ON": "true", "A_TAGS": '["a"]', "A_NONE": "null"}),
    ],
)  # fmt: skip
def test_a_secret_makes_a_variable_or_one_for_each_field(data: dict[str, Any], variables: dict[str, str]) -> None:
    assert environment.variables_of("a", "A", data) == variables


@pytest.mark.parametrize("value", [b"\xff", "a\0b", b"a\0"])
def test_what_no_variable_can_hold_is_an_error_that_names_the_secret(value: str | bytes) -> None:
    with pytest.raises(InvalidValueError, match="'name'"):
        environment.text_of("name", value)


def test_two_fields_or_secrets_for_one_variable_are_an_error_that_names_both() -> None:
    with pytest.raises(InvalidInputError, match="two fields of 'a' would both set A_X_Y"):
        environment.variables_of("a", "A", {"x-y": "1", "x.y": "2"})
    with pytest.raises(InvalidInputError, match="'a/b' and 'a-b' would both set A_B"):
        environment.merge([("a/b", {"A_B": VALUE}), ("a-b", {"A_B": VALUE})])


def test_the_key_is_left_out_and_pristine_keeps_little() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "SECRETS_MASTER_KEY": "k", "MY_KEY": "k", "OTHER": "x"}
    keys = environment.key_variables("env:MY_KEY")
    assert environment.base(environ, keys, pristine=False) == {"PATH": "/bin", "LC_ALL": "C", "OTHER": "x"}
    assert environment.base(environ, keys, pristine=True) == {"PATH": "/bin", "LC_ALL": "C"}

"""`Secret` as a field of a pydantic model: nothing that pydantic writes shows the value."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from strongroom.secret import STARS, Secret

CANARY = "canary-7f3a-hunter2"


class Settings(BaseModel):
    password: Secret  # type: ignore[type-arg]
    text: Secret[str] | None = None
    blob: Secret[bytes] | None = None


@pytest.mark.parametrize("given", [CANARY, CANARY.encode(), Secret(CANARY), Secret(CANARY.encode())])
def test_a_field_takes_text_bytes_or_a_secret(given: Any) -> None:
    settings = Settings(password=given)
    assert isinstance(settings.password, Secret)
    assert settings.password == (given if isinstance(given, Secret) else Secret(given))


def test_a_field_is_read_from_json() -> None:
    assert Settings.model_validate_json(json.dumps({"password": CANARY})).password.value == CANARY


def test_a_field_of_secret_str_refuses_bytes_and_the_other_way_round() -> None:
    assert Settings(password="x", text="t", blob=b"b").blob == Secret(b"b")  # type: ignore[arg-type]
    for wrong in ({"text": CANARY.encode()}, {"blob": CANARY}, {"blob": Secret(CANARY)}):
        with pytest.raises(ValidationError, match=r"Input should be (str|bytes), or a Secret of it") as caught:
            Settings(password="x", **wrong)  # type: ignore[arg-type]
        assert CANARY not in str(caught.value)


def test_json_holds_stars_and_python_holds_the_secret() -> None:
    settings = Settings(password=Secret(CANARY))
    assert json.loads(settings.model_dump_json())["password"] == STARS
    assert settings.model_dump(mode="json")["password"] == STARS
    assert settings.model_dump()["password"] == Secret(CANARY)


def test_a_secret_where_no_field_declares_it_is_not_dumped_at_all() -> None:
    with pytest.raises(PydanticSerializationError, match="unknown type") as caught:
        TypeAdapter(dict[str, Any]).dump_json({"password": Secret(CANARY)})
    assert CANARY not in str(caught.value)


def test_every_text_of_a_model_is_free_of_the_value() -> None:
    settings = Settings(password=CANARY, text=CANARY, blob=CANARY.encode())  # type: ignore[arg-type]
    for shown in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert STARS in shown
        assert CANARY not in shown


def test_the_json_schema_calls_it_a_password_and_covers_a_default() -> None:
    class WithDefault(BaseModel):
        password: Secret[str] = Secret(CANARY)

    schema = WithDefault.model_json_schema()
    assert schema["properties"]["password"] == {
        "default": STARS,
        "format": "password",
        "title": "Password",
        "type": "string",
        "writeOnly": True,
    }
    assert WithDefault.model_json_schema(mode="serialization")["properties"]["password"]["type"] == "string"


@pytest.mark.parametrize("wrong", [[CANARY], {"value": CANARY}, 7777777, bytearray(CANARY.encode())])
def test_an_error_about_the_field_covers_its_input(wrong: object) -> None:
    with pytest.raises(ValidationError, match="Input should be str or bytes, or a Secret of it") as caught:
        Settings(password=wrong)  # type: ignore[arg-type]
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.errors())):
        assert CANARY not in shown
        assert "7777777" not in shown


def test_an_error_about_another_field_is_silent_with_the_setting_that_the_docstring_names() -> None:
    class Hiding(BaseModel):
        model_config = ConfigDict(hide_input_in_errors=True)
        password: Secret[str]
        port: int

    with pytest.raises(ValidationError) as caught:
        Hiding(password=CANARY)  # type: ignore[call-arg, arg-type]
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.errors(include_input=False))


def test_a_model_is_copied_with_its_secret_and_refuses_to_be_pickled() -> None:
    settings = Settings(password=Secret(CANARY))
    assert settings.model_copy(deep=True).password is settings.password
    assert copy.deepcopy(settings) == settings
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(settings)

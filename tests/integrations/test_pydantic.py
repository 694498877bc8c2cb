"""Settings of pydantic-settings take secrets from a store."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic_settings")

from pydantic import AliasChoices, BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings

from strongroom import Secret
from strongroom.integrations.pydantic import StrongroomSource


def settings_from(secrets, prefix=""):
    class FromStore(BaseSettings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **_):
            return init_settings, StrongroomSource(settings_cls, secrets, prefix), env_settings

    return FromStore


class Login(BaseModel):
    username: str
    password: Secret[str]


def test_a_field_takes_the_secret_of_its_name(secrets):
    secrets.set_secret("lower", "in small letters")

    class Settings(settings_from(secrets)):
        db: Secret[str]
        lower: str
        debug: bool = False

    settings = Settings()
    assert settings.db.value == "old-Password/+1"
    assert settings.lower == "in small letters"
    assert "old-Password" not in repr(settings) + settings.model_dump_json()


def test_an_alias_is_the_name_of_the_secret(secrets):
    class Settings(settings_from(secrets)):
        one: str = Field(validation_alias="DB")
        two: str = Field(validation_alias=AliasChoices("MISSING", "DB"))

    assert (Settings().one, Settings().two) == ("old-Password/+1", "old-Password/+1")


def test_the_prefix_chooses_the_secrets(secrets):
    secrets.set_secret("billing/DB", "that of billing")

    class Settings(settings_from(secrets, "billing/")):
        db: str

    assert Settings().db == "that of billing"


def test_fields_of_a_secret_fill_a_model(secrets):
    secrets.set_secret("LOGIN", {"username": "app", "password": "pw"})

    class Settings(settings_from(secrets)):
        login: Login

    assert Settings().login.password.value == "pw"


def test_sources_before_it_win_and_those_after_it_fill_up(secrets, monkeypatch):
    monkeypatch.setenv("DB", "from the environment")
    monkeypatch.setenv("OTHER", "from the environment")

    class Settings(settings_from(secrets)):
        db: str
        other: str

    assert (Settings().db, Settings().other) == ("old-Password/+1", "from the environment")
    assert Settings(db="given").db == "given"


def test_a_missing_secret_is_a_missing_field(secrets):
    class Settings(settings_from(secrets)):
        nothing: str

    with pytest.raises(ValidationError, match="nothing"):
        Settings()


def test_only_secrets_that_are_there_are_read(secrets):
    class Settings(settings_from(secrets)):
        db: str
        debug: bool = False

    Settings()
    events = secrets.get_audit_logs(action="GET")
    assert {event["name"] for event in events} == {"DB"}


def test_a_source_does_not_show_values(secrets):
    assert repr(StrongroomSource(settings_from(secrets), secrets, "a/")) == "StrongroomSource(prefix='a/')"


def test_a_field_is_read_by_itself_for_whoever_asks_the_source(secrets):
    class Settings(settings_from(secrets)):
        one: str = Field(validation_alias=AliasChoices("MISSING", "DB"))
        other: str = ""

    source = StrongroomSource(Settings, secrets)
    fields = Settings.model_fields
    assert source.get_field_value(fields["one"], "one") == ("old-Password/+1", "DB", False)
    assert source.get_field_value(fields["other"], "other") == (None, "other", False)

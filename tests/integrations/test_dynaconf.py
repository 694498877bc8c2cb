"""dynaconf reads settings from the default store."""

from __future__ import annotations

import pytest

dynaconf = pytest.importorskip("dynaconf")

from strongroom import DeniedError, InvalidValueError  # noqa: E402
from strongroom.integrations import dynaconf as loader  # noqa: E402

LOADERS = ["dynaconf.loaders.env_loader", "strongroom.integrations.dynaconf"]


@pytest.fixture(autouse=True)
def _default_store(secrets, monkeypatch):
    monkeypatch.setattr(loader, "default_manager", lambda: secrets)


def test_a_secret_is_a_setting_and_wins_over_the_environment(secrets, monkeypatch):
    monkeypatch.setenv("DYNACONF_DB", "from the environment")
    monkeypatch.setenv("DYNACONF_OTHER", "from the environment")
    settings = dynaconf.Dynaconf(loaders=LOADERS)
    assert (settings.DB, settings.db, settings.OTHER) == ("old-Password/+1", "old-Password/+1", "from the environment")


def test_a_text_stays_a_text(secrets):
    secrets.set_secret("PIN", "0123")
    secrets.set_secret("ODD", "@formats {this}")
    settings = dynaconf.Dynaconf(loaders=LOADERS)
    assert (settings.PIN, settings.ODD) == ("0123", "@formats {this}")


@pytest.mark.parametrize("value", ["@jinja {{ 6 * 7 }}", "@format {this.hidden}", "@none", {"deep": ["@int hidden"]}])
def test_a_value_that_dynaconf_would_evaluate_is_refused(secrets, value):
    secrets.set_secret("ODD", value)
    with pytest.raises(InvalidValueError, match="'ODD' begins with a converter") as caught:
        _ = dynaconf.Dynaconf(loaders=LOADERS).ODD
    assert "hidden" not in str(caught.value)


def test_a_path_and_fields_are_nested(secrets):
    secrets.set_secret("auth/password", "nested")
    secrets.set_secret("LOGIN", {"username": "app", "password": "pw"})
    settings = dynaconf.Dynaconf(loaders=LOADERS)
    assert settings.AUTH.password == "nested"
    assert settings.LOGIN.password == "pw"


def test_a_prefix_chooses_the_secrets_and_is_taken_off(secrets):
    secrets.set_secret("billing/TOKEN", "that of billing")
    settings = dynaconf.Dynaconf(loaders=LOADERS, SECRETS_PREFIX_FOR_DYNACONF="billing/")
    assert settings.TOKEN == "that of billing"
    assert "DB" not in settings


def test_settings_are_read_again_by_reload(secrets):
    settings = dynaconf.Dynaconf(loaders=LOADERS)
    assert settings.DB == "old-Password/+1"
    secrets.set_secret("DB", "new")
    settings.reload()
    assert settings.DB == "new"


def test_a_store_that_refuses_is_an_error_though_dynaconf_is_silent(secrets, monkeypatch):
    def refuse(prefix):
        raise DeniedError("the policy says no")

    monkeypatch.setattr(secrets, "list_secrets", refuse, raising=False)
    with pytest.raises(DeniedError):
        _ = dynaconf.Dynaconf(loaders=LOADERS).DB


def test_one_setting_is_read_by_itself(secrets):
    secrets.set_secret("OTHER", "unasked")
    settings = dynaconf.Dynaconf(loaders=[])
    loader.load(settings, key="DB")
    assert settings.DB == "old-Password/+1"
    assert "OTHER" not in settings
    assert {event["name"] for event in secrets.get_audit_logs(action="GET")} == {"DB"}


def test_a_deleted_secret_is_no_setting(secrets, monkeypatch):
    # Deleted between the two looks.
    monkeypatch.setattr(secrets, "list_secrets", lambda prefix: ["DB", "GONE"], raising=False)
    settings = dynaconf.Dynaconf(loaders=LOADERS)
    assert settings.DB == "old-Password/+1"
    assert "GONE" not in settings

"""Django connects to a real PostgreSQL with the current password, with and without a pool."""

from __future__ import annotations

import copy

import pytest

django = pytest.importorskip("django")

from django.conf import settings  # noqa: E402
from django.db.utils import ConnectionHandler, OperationalError  # noqa: E402

import strongroom  # noqa: E402
from strongroom.integrations import _values as values  # noqa: E402
from strongroom.integrations.django import live  # noqa: E402
from strongroom.integrations.psycopg import drain_on_change  # noqa: E402


@pytest.fixture
def connect(postgres, secrets):
    """Return Django's connection to the server, whose PASSWORD is a live setting."""
    if not settings.configured:
        settings.configure()
        django.setup()
    made = []

    def connect(**options):
        database = {
            "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "HOST": "127.0.0.1",
            "PORT": postgres.port, "USER": "app", "PASSWORD": live("DB", secrets), "OPTIONS": options,
        }  # fmt: skip
        made.append(ConnectionHandler({"default": database})["default"])
        return made[-1]

    yield connect
    for connection in made:
        connection.close()
        connection.close_pool()


def pid(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_a_new_connection_logs_in_with_the_current_password(connect, postgres, secrets):
    connection = connect()
    before = pid(connection)
    postgres.set_password("new")
    secrets.set_secret("DB", "new")
    assert pid(connection) == before
    connection.close()
    assert pid(connection) != before


@pytest.mark.parametrize("field", ["password", "value"])
def test_the_user_follows_too_when_two_roles_take_turns(postgres, secrets, field):
    if not settings.configured:
        settings.configure()
        django.setup()
    postgres.execute("DROP ROLE IF EXISTS turn_a, turn_b; CREATE ROLE turn_a LOGIN PASSWORD 'one'; "
                     "CREATE ROLE turn_b LOGIN PASSWORD 'two'")  # fmt: skip
    secrets.set_secret("TURN", {"username": "turn_a", field: "one"})
    connection = ConnectionHandler({"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "HOST": "127.0.0.1", "PORT": postgres.port,
        "USER": live("TURN", secrets, field="username"), "PASSWORD": live("TURN", secrets),
    }})["default"]  # fmt: skip
    for user, password in (("turn_a", "one"), ("turn_b", "two")):
        secrets.set_secret("TURN", {"username": user, field: password})
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (user,)
        connection.close()
    secrets.set_secret("TURN", {"username": "turn_a", field: 3})
    with pytest.raises(strongroom.InvalidValueError):
        str(live("TURN", secrets))


def test_a_pool_is_drained_when_the_secret_changes(connect, postgres, secrets, wait_until):
    connection = connect(pool={"min_size": 1, "max_size": 2, "timeout": 10})
    drain_on_change(connection.pool, secrets.secret("DB"))
    before = pid(connection)
    connection.close()
    postgres.set_password("new")
    secrets.set_secret("DB", "new")

    def replaced():
        found = pid(connection)
        connection.close()
        return found != before

    wait_until(replaced)


def test_a_copy_of_a_connection_is_live_too(connect, postgres, secrets):
    other = connect().copy()
    postgres.set_password("new")
    secrets.set_secret("DB", "new")
    assert pid(other)
    other.close()


def test_a_wrong_password_is_djangos_own_error(connect, secrets):
    secrets.set_secret("DB", "wrong-one")
    with pytest.raises(OperationalError) as caught:
        pid(connect())
    assert "wrong-one" not in str(caught.value)


def test_a_setting_does_not_show_its_value(secrets):
    setting = live("DB", secrets)
    assert repr({"PASSWORD": setting}) == "{'PASSWORD': LiveSetting('DB', **********)}"
    assert copy.deepcopy(setting) is setting
    assert copy.copy(setting) is setting
    assert str(setting) == "old-Password/+1"


def test_the_default_store_is_opened_when_the_value_is_first_asked_for(secrets, monkeypatch):
    opened = []
    monkeypatch.setattr(values.strongroom, "open", lambda: opened.append(1) or secrets)
    values.default_manager.cache_clear()
    try:
        setting = live("DB")
        assert opened == []
        assert (str(setting), str(setting)) == ("old-Password/+1", "old-Password/+1")
        assert opened == [1]
    finally:
        values.default_manager.cache_clear()

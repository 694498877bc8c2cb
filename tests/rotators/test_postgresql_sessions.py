"""Open sessions of a PostgreSQL role: counted, and ended when that is asked for; never those of the new login."""

from __future__ import annotations

import time

import psycopg
import pytest

from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError

from .postgres_servers import login, rotator

ONE = {"username": "app_a", "password": "first"}
TWO = {"username": "app_b", "password": "second"}


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD 'second'")
    ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename ~ '^(app_|clerk)'"
    server.execute(ends)
    yield server
    server.execute(ends)


def is_open(session):
    try:
        session.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def age(server):
    """Return how many seconds ago a session is opened that is opened now, when it is asked for later."""
    began = time.monotonic()
    return lambda: time.monotonic() - began


def test_sessions_of_the_other_role_are_counted_whatever_their_age(server):
    one, two = login(server, "app_a", "first"), login(server, "app_a", "first")
    login(server, "app_b", "second")
    found = rotator(server, "&other=app_b").sessions(TWO, 3600)
    assert [(row.account, row.open) for row in found] == [("app_a", 2)]
    assert 0 <= found[0].oldest < 3600
    one.close(), two.close()


def test_sessions_of_one_role_are_told_apart_by_their_age(server):
    old = login(server, "app_a", "first")
    time.sleep(0.05)
    since = age(server)
    time.sleep(0.05)
    new = login(server, "app_a", "first")
    one = rotator(server, "&terminate=1")
    assert [(row.account, row.open) for row in one.sessions(ONE, since())] == [("app_a", 1)]
    assert one.end_sessions(ONE, since()) == 1
    assert not is_open(old)
    assert is_open(new)
    assert one.sessions(ONE, since()) == []
    assert one.end_sessions(ONE, since()) == 0


def test_what_passes_between_the_question_and_the_answer_makes_no_session_older(server, monkeypatch):
    since = age(server)
    new = login(server, "app_a", "first")
    one, slow = rotator(server, "&terminate=1"), psycopg.connect

    def connect(*given, **named):
        time.sleep(0.3)
        return slow(*given, **named)

    monkeypatch.setattr(psycopg, "connect", connect)
    assert one.end_sessions(ONE, since()) == 0
    assert is_open(new)


def test_of_two_roles_all_sessions_of_the_other_end_and_no_others(server):
    old, new = login(server, "app_a", "first"), login(server, "app_b", "second")
    assert rotator(server, "&other=app_b&terminate=1").end_sessions(TWO, 60) == 1
    assert not is_open(old)
    assert is_open(new)


def test_a_role_that_changes_itself_ends_its_older_sessions_and_not_the_one_that_asks(server):
    old = login(server, "app_a", "first")
    time.sleep(0.05)
    one = drivers.rotator(f"postgresql://127.0.0.1:{server.port}/postgres?role=app_a&terminate=1", dict)
    one.check(ONE)
    assert [row.open for row in one.sessions(ONE, 0.01)] == [1]
    assert one.end_sessions(ONE, 0.01) == 1
    assert not is_open(old)


def test_an_administrator_without_the_rights_is_told_which_before_anything_is_changed(server):
    server.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN CREATEROLE PASSWORD 'clerk'")
    with open(f"{server.directory}/data/PG_VERSION") as file:
        if int(file.read()) >= 16:
            server.execute("GRANT app_a TO clerk WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    old = login(server, "app_a", "first")
    try:
        rotator(server, user="clerk").check(ONE)
        ending = rotator(server, "&terminate=1", user="clerk")
        with pytest.raises(SourceRefusedError, match=r'GRANT pg_read_all_stats, pg_signal_backend TO "clerk"'):
            ending.check(ONE)
        with pytest.raises(RotationError, match=r'sessions of .app_a. are open.*GRANT pg_read_all_stats TO "clerk"'):
            ending.sessions(ONE, 0)
        server.execute("GRANT pg_read_all_stats TO clerk")
        with pytest.raises(SourceRefusedError, match=r'GRANT pg_signal_backend TO "clerk"'):
            ending.check(ONE)
        assert [row.open for row in ending.sessions(ONE, 0)] == [1]
        with pytest.raises(SourceRefusedError, match=r'42501: .*GRANT pg_signal_backend TO "clerk"'):
            ending.end_sessions(ONE, 0)
        assert is_open(old)
        server.execute("GRANT pg_signal_backend TO clerk")
        ending.check(ONE)
        assert ending.end_sessions(ONE, 0) == 1
        assert not is_open(old)
    finally:
        server.execute("DROP OWNED BY clerk; DROP ROLE clerk")

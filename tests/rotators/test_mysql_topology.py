"""A primary, a replica, several hosts, and open sessions, with real MariaDB servers."""

from __future__ import annotations

import re
import threading
import time

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, SourceRefusedError
from strongroom.rotators import mysql_topology
from strongroom.rotators.mysql_server import Server
from strongroom.rotators.mysql_sessions import sessions

from .servers import ADMIN

FIRST = {"value": "first"}
TWO = {"username": "app_a", "password": "first"}


def rotator(hosts, more="", user="root"):
    return drivers.rotator(f"mysql://{user}@{hosts}?admin_secret=admin&user=app_a{more}", lambda name: {"value": ADMIN})


def at(*servers):
    return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def pair(mariadb_pair):
    """A primary and its replica, on both of which `app_a` has the password `first`."""
    primary, replica = mariadb_pair
    primary.reset()
    wait_until(lambda: replica.accepts("app_a", "first"))
    yield primary, replica
    for server in mariadb_pair:
        server.execute("SET GLOBAL read_only = 0")
    replica.execute("START SLAVE")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SET GLOBAL read_only = 1", "is read-only .read_only., as a replica is: name the primary"),
        ("SET GLOBAL read_only = 0", "is a replica, although it can be written"),
        ("STOP SLAVE IO_THREAD", "is a replica, although it can be written"),
        ("STOP SLAVE SQL_THREAD", "is a replica, although it can be written"),
    ],
)
@pytest.mark.parametrize(("more", "current"), [("", FIRST), ("&other=app_b", TWO)], ids=["one", "two"])
def test_a_replica_is_refused_with_that_word(pair, statement, said, more, current):
    _, replica = pair
    replica.execute(statement)
    before = replica.rows("SELECT authentication_string FROM mysql.user ORDER BY User, Host")
    one = rotator(at(replica), more)
    with pytest.raises(SourceRefusedError, match=said):
        one.check(current)
    if "read_only = 1" in statement:
        with pytest.raises(SourceRefusedError, match=said):
            one.set(one.create(current), current)
    assert replica.rows("SELECT authentication_string FROM mysql.user ORDER BY User, Host") == before


def test_a_replica_that_was_promoted_and_one_of_two_primaries_can_be_written(pair):
    _, replica = pair
    assert rotator(at(replica), "&replica=yes").check(FIRST) == []
    replica.execute("STOP SLAVE")
    assert rotator(at(replica)).check(FIRST) == []


def test_whether_a_server_follows_another_is_not_asked_of_an_administrator_who_may_not_know(pair):
    primary, replica = pair
    primary.execute(f"CREATE USER little@'%' IDENTIFIED BY '{ADMIN}'; GRANT CREATE USER ON *.* TO little@'%'")
    primary.execute("GRANT SELECT ON mysql.* TO little@'%'")
    try:
        wait_until(lambda: replica.accepts("little", ADMIN))
        assert rotator(at(primary), user="little").check(FIRST) == []
    finally:
        primary.execute("DROP USER little@'%'")


@pytest.mark.parametrize("first", ["replica", "nobody"])
@pytest.mark.parametrize(("more", "current"), [("", FIRST), ("&other=app_b", TWO)], ids=["one", "two"])
def test_the_first_host_that_can_be_written_is_taken(pair, first, more, current):
    primary, replica = pair
    replica.execute("SET GLOBAL read_only = 1")
    one = rotator((at(replica) if first == "replica" else "127.0.0.1:1") + f",{at(primary)}", more)
    one.check(current)
    pending = one.create(current)
    one.set(pending, current)
    one.test(pending)
    one.retire(current, pending)
    assert not primary.accepts("app_a", "first")
    one.set(current, pending)


def test_hosts_of_which_none_can_be_written_are_all_named(pair):
    _, replica = pair
    replica.execute("SET GLOBAL read_only = 1")
    with pytest.raises(SourceRefusedError, match=rf"none of the hosts .*127.0.0.1:1 .*{replica.port} is read-only"):
        rotator(f"127.0.0.1:1,{at(replica)}").check(FIRST)


def test_a_test_waits_until_the_replicas_follow(pair, monkeypatch):
    primary, replica = pair
    one = rotator(at(primary), f"&replicas={at(replica)}")
    one.check(FIRST)
    replica.execute("STOP SLAVE SQL_THREAD")
    pending = one.create(FIRST)
    one.set(pending, FIRST)
    monkeypatch.setattr(mysql_topology, "REPLICAS_WAIT", 0.3)
    with pytest.raises(SourceRefusedError, match=rf"replica at 127.0.0.1:{replica.port} does not take .* it lags"):
        one.test(pending)
    monkeypatch.setattr(mysql_topology, "REPLICAS_WAIT", 30)
    later = threading.Timer(0.3, replica.execute, ["START SLAVE SQL_THREAD"])
    later.start()
    one.test(pending)
    later.join()
    assert replica.accepts("app_a", pending["value"])


@pytest.mark.parametrize(
    "more", ["&terminate=perhaps", "&rights=some", "&replica=maybe", "&replicas=a:b", "&replicas=//h", "&test=1&test=2"]
)
def test_options_that_cannot_be_are_refused(more):
    with pytest.raises(ConfigError):
        rotator("127.0.0.1:3306", more)


class Session:
    """An open session, which may be busy all the time."""

    def __init__(self, server, user, password, busy=False):
        import pymysql

        self.opened = time.monotonic()
        self.connection = pymysql.connect(host="127.0.0.1", port=server.port, user=user, password=password)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)
        if busy:
            self._thread.start()

    def _work(self):
        while not self._ended.wait(0.05):
            self.connection.cursor().execute("SELECT 1")

    @property
    def is_open(self):
        import pymysql

        try:
            self.connection.ping(reconnect=False)
        except (pymysql.Error, OSError):
            return False
        return True

    def close(self):
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.connection.open:
            self.connection.close()


@pytest.fixture
def opened():
    """Open sessions, closed at the end."""
    made = []

    def open_one(*given, **more):
        made.append(Session(*given, **more))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def found_ages(server):
    """Return the least ages of the sessions of a server, by number, as a process that has just begun sees them."""
    import pymysql

    connection = pymysql.connect(host="127.0.0.1", port=server.port, user="root", password=ADMIN)
    with connection:
        where = {"host": "127.0.0.1", "port": server.port}
        return {each.number: each.age for each in sessions(Server(connection, where, "root"), [])}


def test_an_age_is_never_more_than_it_is_and_busy_sessions_have_one(pair, opened):
    primary, _ = pair
    busy = opened(primary, "app_a", "first", busy=True)
    idle = opened(primary, "app_a", "first")
    time.sleep(1)
    young = opened(primary, "app_a", "first")
    ages = found_ages(primary)
    now = time.monotonic()
    for session in (busy, idle, young):
        # The server's clock is another one than ours; what is ended has a tenth of a second more.
        assert ages[session.connection.thread_id()] <= now - session.opened + 0.05
    assert ages[idle.connection.thread_id()] >= 0.9
    assert ages[busy.connection.thread_id()] >= ages[idle.connection.thread_id()]
    idle.close()
    wait_until(lambda: idle.connection.thread_id() not in found_ages(primary))
    assert found_ages(primary)[busy.connection.thread_id()] >= 0.5


def test_old_sessions_of_one_account_are_counted_and_ended_and_no_others(mariadb, opened):
    mariadb.reset()
    mariadb.execute("ALTER USER app_b@'%' IDENTIFIED BY 'second'")
    one = rotator(at(mariadb), "&terminate=1")
    assert one.terminates
    old, other = opened(mariadb, "app_a", "first"), opened(mariadb, "app_b", "second")
    time.sleep(2)
    young = opened(mariadb, "app_a", "first")
    age = time.monotonic() - young.opened + 1
    (found,) = one.sessions(FIRST, age)
    assert found.account == "app_a"
    assert found.open == 1
    assert found.oldest >= age
    assert one.end_sessions(FIRST, age) == 1
    assert not old.is_open
    assert young.is_open
    assert other.is_open
    assert one.sessions(FIRST, age) == []
    assert one.end_sessions(FIRST, age + 60) == 0


def test_all_sessions_of_the_other_account_are_counted_and_ended(pair, opened):
    primary, replica = pair
    two = rotator(at(primary), f"&other=app_b&replicas={at(replica)}")
    held = [opened(server, "app_a", "first") for server in (primary, primary, replica)]
    pending = two.create(TWO)
    two.set(pending, TWO)
    current = opened(primary, "app_b", pending["password"])
    counts = {found.account: found.open for found in two.sessions(pending, 3600)}
    assert counts == {f"app_a at {at(primary)}": 2, f"app_a at {at(replica)}": 1}
    assert two.end_sessions(pending, 3600) == 3
    assert not any(session.is_open for session in held)
    assert current.is_open


def test_an_administrator_does_not_end_its_own_session(mariadb, opened):
    mariadb.reset()
    mariadb.execute("GRANT ALL ON *.* TO app_a@'%'")
    try:
        own = drivers.rotator(f"mysql://app_a@{at(mariadb)}?admin_secret=admin&user=app_a", lambda name: FIRST)
        held = opened(mariadb, "app_a", "first")
        assert own.end_sessions(FIRST, -1) == 1
        assert not held.is_open
    finally:
        mariadb.execute("REVOKE ALL PRIVILEGES ON *.* FROM app_a@'%'")


def test_sessions_of_an_account_of_the_same_name_for_another_host_are_not_ended(mariadb, opened):
    mariadb.reset()
    mariadb.execute("CREATE USER app_a@'127.0.0.1' IDENTIFIED BY 'other'")
    try:
        held = opened(mariadb, "app_a", "other")
        one = rotator(at(mariadb))
        assert one.sessions(FIRST, -1) == []
        assert one.end_sessions(FIRST, -1) == 0
        assert held.is_open
        assert rotator(at(mariadb), "&user_host=127.0.0.1").end_sessions(FIRST, -1) == 1
    finally:
        mariadb.execute("DROP USER app_a@'127.0.0.1'")


@pytest.fixture
def little(mariadb):
    """An administrator who may change accounts, and nothing else."""
    mariadb.reset()
    mariadb.execute("ALTER USER app_b@'%' IDENTIFIED BY 'second'")
    mariadb.execute(f"CREATE USER little@'%' IDENTIFIED BY '{ADMIN}'; GRANT SELECT, CREATE USER ON *.* TO little@'%'")
    yield mariadb
    mariadb.execute("DROP USER little@'%'; DROP PROCEDURE IF EXISTS mysql.rds_kill")


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        ("SELECT", "does not see the sessions of others: GRANT PROCESS ON *.* TO 'little'"),
        ("PROCESS", "may not end sessions: GRANT CONNECTION ADMIN ON *.* TO 'little', or leave terminate= out"),
    ],
)
def test_an_administrator_who_may_not_end_sessions_is_told_before_anything_is_changed(little, opened, granted, said):
    little.execute(f"GRANT {granted} ON *.* TO little@'%'")
    held = opened(little, "app_b", "second")
    with pytest.raises(SourceRefusedError, match=re.escape(said)):
        rotator(at(little), "&other=app_b&terminate=1", user="little").check(TWO)
    two = rotator(at(little), "&other=app_b", user="little")
    two.check(TWO)
    with pytest.raises(SourceRefusedError, match=re.escape(said)):
        two.end_sessions(TWO, 0)
    assert held.is_open
    little.execute("GRANT PROCESS, CONNECTION ADMIN ON *.* TO little@'%'")
    rotator(at(little), "&other=app_b&terminate=1", user="little").check(TWO)
    assert two.end_sessions(TWO, 0) == 1
    assert not held.is_open


def test_one_account_sees_and_ends_its_own_sessions_where_the_administrator_may_not(little, opened):
    held, other = opened(little, "app_a", "first"), opened(little, "app_b", "second")
    one = rotator(at(little), "&terminate=1", user="little")
    assert one.check(FIRST) == []
    assert [found.open for found in one.sessions(FIRST, -1)] == [1]
    assert one.end_sessions(FIRST, -1) == 1
    assert not held.is_open
    assert other.is_open


def test_a_managed_server_ends_sessions_by_a_routine(little, opened):
    little.execute("GRANT PROCESS ON *.* TO little@'%'")
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=little.port, user="root", password=ADMIN) as connection:
        connection.cursor().execute("CREATE PROCEDURE mysql.rds_kill(IN number BIGINT) BEGIN KILL number; END")
    little.execute("GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO little@'%'")
    held = opened(little, "app_b", "second")
    two = rotator(at(little), "&other=app_b&terminate=1", user="little")
    two.check(TWO)
    assert two.end_sessions(TWO, 0) == 1
    assert not held.is_open

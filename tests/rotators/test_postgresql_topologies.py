"""Several PostgreSQL servers: a primary and its standbys, a failover in the middle of a rotation, replicas that lag."""

from __future__ import annotations

import threading
import time

import pytest

from integrations import server as servers
from integrations.server import ADMIN
from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators.accounts import Refused

from .postgres_servers import Standby, accepts, login, rotator

CURRENT = {"username": "app_a", "password": "first"}


@pytest.fixture(scope="module")
def cluster(postgresql):
    """A primary and a standby that nobody else uses, so that a failover harms no other test."""
    standby = Standby(postgresql)
    yield postgresql, standby
    standby.stop()


@pytest.fixture
def primary(cluster):
    primary, standby = cluster
    primary.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    catch_up(primary, standby)
    return primary


@pytest.fixture
def standby(cluster):
    return cluster[1]


def catch_up(primary, standby):
    with login(primary, "postgres", ADMIN) as one, login(standby, "postgres", ADMIN) as two:
        at = one.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
        wait_until(lambda: two.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,)).fetchone()[0])


@pytest.fixture
def lagging(primary, standby):
    """A standby that does not apply what it gets."""
    standby_admin = login(standby, "postgres", ADMIN)
    standby_admin.execute("SELECT pg_wal_replay_pause()")
    state = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
    wait_until(lambda: standby_admin.execute(state).fetchone()[0])
    yield lambda: standby_admin.execute("SELECT pg_wal_replay_resume()")
    standby_admin.execute("SELECT pg_wal_replay_resume()")
    standby_admin.close()
    catch_up(primary, standby)


def both(primary, standby, more=""):
    return rotator(primary, more, hosts=f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}")


@pytest.mark.parametrize("more", ["", "&other=app_b"])
def test_of_several_hosts_the_one_that_can_be_written_to_is_changed(primary, standby, more):
    one = both(primary, standby, more)
    one.check(CURRENT)
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert accepts(primary, pending["username"], pending["password"])
    one.retire(CURRENT, pending)
    assert not accepts(primary, "app_a", "first")


def test_a_host_that_is_gone_is_passed_over_and_each_is_named_when_none_is_left(primary, standby):
    one = rotator(primary, hosts=f"127.0.0.1:1,127.0.0.1:{primary.port}")
    one.check(CURRENT)
    none = rotator(primary, hosts=f"127.0.0.1:1,127.0.0.1:{standby.port},no-such-host.invalid")
    with pytest.raises(SourceRefusedError) as caught:
        none.check(CURRENT)
    for said in (
        "at 127.0.0.1:1, ",
        f"at 127.0.0.1:{standby.port}, ",
        "25006: it is a standby",
        "no-such-host.invalid:5432",
    ):
        assert said in str(caught.value)
    assert not isinstance(caught.value, Refused)


def test_a_password_is_refused_only_when_no_host_is_left_that_might_take_it(primary, standby):
    wrong = {"username": "app_a", "password": "wrong"}
    with pytest.raises(Refused):
        both(primary, standby).test(wrong)
    with pytest.raises(SourceRefusedError) as caught:
        rotator(primary, hosts=f"127.0.0.1:1,127.0.0.1:{standby.port}").test(wrong)
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize(
    "hosts", ["localhost:{},other:5433", "other:5433,127.0.0.1:{}"]
)  # fmt: skip
def test_two_secrets_that_rotate_one_role_share_it_by_any_of_their_hosts(primary, hosts):
    alone = rotator(primary).accounts
    assert alone & rotator(primary, hosts=hosts.format(primary.port)).accounts
    assert not alone & rotator(primary, hosts="other:5433,third").accounts


def test_replicas_that_nobody_waits_for_are_told(primary, standby):
    said = "standbys follow the server"
    assert [text for text in rotator(primary).check(CURRENT) if said in text]
    assert not [text for text in rotator(primary, f"&replicas=127.0.0.1:{standby.port}").check(CURRENT) if said in text]


def test_readers_of_a_replica_are_waited_for(primary, standby, lagging):
    one = rotator(primary, f"&other=app_b&replicas=127.0.0.1:{standby.port}")
    one.check(CURRENT)
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    assert not accepts(standby, "app_b", pending["password"])
    threading.Timer(0.3, lagging).start()
    one.test(pending)
    assert accepts(standby, "app_b", pending["password"])


def test_a_replica_that_lags_too_long_is_named_and_the_rotation_undone(primary, standby, lagging, make_manager):
    manager = make_manager()
    manager.set_secrets({"A": CURRENT, "admin": ADMIN})
    place = f"postgres@127.0.0.1:{primary.port}/postgres?role=app_a&other=app_b&admin_secret=admin"
    manager.rotation.attach("A", f"postgresql://{place}&replicas=127.0.0.1:{standby.port}&lag=1")
    with pytest.raises(RotationError, match=rf"at 127.0.0.1:{standby.port}, .*has not reached this replica: it lags"):
        manager.rotate_secret("A")
    assert manager.get_data("A") == CURRENT
    assert accepts(primary, "app_a", "first")
    lagging()
    manager.rotation.resume("A")
    assert manager.get_data("A")["username"] == "app_b"


@pytest.mark.parametrize(("at", "said"), [("primary", "is no standby of the primary"), ("nobody", "nothing listens")])
def test_a_replica_that_is_none_is_found_before_anything_is_changed(primary, at, said):
    port = primary.port if at == "primary" else 1
    with pytest.raises(SourceRefusedError, match=said):
        rotator(primary, f"&replicas=127.0.0.1:{port}").check(CURRENT)
    assert accepts(primary, "app_a", "first")


@pytest.mark.parametrize(
    "url", ["//admin@a,/x?role=a", "//a,b:port/x?role=a", "//a,u@b/x?role=a&lag=many", "//a?role=a&terminate=perhaps",
            "//a?role=a&replicas=b:port", "//a?role=a&md5=keep", "//a?role=a&rights=some"],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused(primary, url):
    with pytest.raises(ConfigError):
        drivers.rotator(f"postgresql:{url}", dict)


class Pair:
    """A primary and its standby, and what becomes of them."""

    def __init__(self, model):
        self.primary = Standby(model)
        self.primary.promote()
        self.standby = Standby(self.primary)

    def fail_over(self):
        data = f"{self.primary.directory}/data"
        servers.postgres.run_as_nobody(servers.postgres.tool("pg_ctl"), "-D", data, "-m", "immediate", "stop")
        self.standby.promote()


@pytest.fixture
def pair(postgresql):
    postgresql.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    pair = Pair(postgresql)
    yield pair
    pair.standby.stop()
    pair.primary.stop()


@pytest.fixture
def manager(pair, make_manager):
    manager = make_manager()
    manager.set_secrets({"A": CURRENT, "admin": ADMIN})
    hosts = f"127.0.0.1:{pair.primary.port},127.0.0.1:{pair.standby.port}"
    place = f"postgres@{hosts}/postgres?role=app_a&admin_secret=admin"
    manager.rotation.attach("A", f"postgresql://{place}&other=app_b")
    return manager


@pytest.mark.parametrize("lost", [False, True], ids=["the change is copied", "the change is lost"])
def test_a_failover_between_set_and_test_leaves_the_current_value_working(pair, manager, monkeypatch, lost):
    from strongroom.rotators.postgresql import PostgresqlRotator

    test = PostgresqlRotator.test

    def fail_over(rotator, pending):
        if pending["username"] == "app_b" and accepts_at_all(pair.primary):
            if not lost:
                catch_up(pair.primary, pair.standby)
            pair.fail_over()
        return test(rotator, pending)

    catch_up(pair.primary, pair.standby)
    if lost:
        stop_receiving(pair)
    monkeypatch.setattr(PostgresqlRotator, "test", fail_over)
    if lost:
        with pytest.raises(RotationError, match=r"28P01.*given the current value back"):
            manager.rotation.rotate("A", wait=0)
        assert manager.get_data("A") == CURRENT
        manager.rotation.resume("A", wait=0)
    else:
        manager.rotation.rotate("A", wait=0)
    now = manager.get_data("A")
    assert now["username"] == "app_b"
    assert accepts(pair.standby, "app_b", now["password"])
    assert accepts(pair.standby, "app_a", "first")
    manager.rotation.retire("A", force=True)
    assert not accepts(pair.standby, "app_a", "first")
    assert accepts(pair.standby, "app_b", now["password"])


@pytest.mark.parametrize("lost", [False, True], ids=["the change is copied", "the change is lost"])
def test_a_failover_between_promotion_and_retirement_leaves_the_current_value_working(pair, manager, lost):
    catch_up(pair.primary, pair.standby)
    if lost:
        stop_receiving(pair)
    manager.rotation.rotate("A", wait=0)
    now = manager.get_data("A")
    if not lost:
        catch_up(pair.primary, pair.standby)
    pair.fail_over()
    assert accepts(pair.standby, "app_b", now["password"]) != lost
    manager.rotation.retire("A", force=True)
    assert accepts(pair.standby, "app_b", now["password"])
    assert not accepts(pair.standby, "app_a", "first")


def accepts_at_all(server):
    return accepts(server, "postgres", ADMIN)


def stop_receiving(pair):
    """Let nothing more reach the standby."""
    with login(pair.standby, "postgres", ADMIN) as session:
        session.execute("ALTER SYSTEM SET primary_conninfo = ''")
        session.execute("SELECT pg_reload_conf()")
        wait_until(lambda: session.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchone() is None)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

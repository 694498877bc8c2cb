"""A real pgbouncer with a list of passwords: the rotator rewrites it, and clients are let in by it before promotion."""

from __future__ import annotations

import os
import stat
import threading
import time

import psycopg
import pytest

from integrations.server import ADMIN
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators.userlist import UserList, kind

from .postgres_servers import accepts, login, own, rotator

CURRENT = {"username": "app_a", "password": "first"}
RELOADS = ["pid", "console"]


@pytest.fixture
def server(postgresql):
    postgresql.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    return postgresql


def verifier(server, role):
    with login(server, "postgres", ADMIN) as connection:
        return connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchone()[0]


def also(bouncer, reload="pid", at=None):
    how = {"pid": f"%26pid={bouncer.directory}/pid", "console": "%26console=postgres%26secret=postgres"}
    return f"&also=pgbouncer:{bouncer.users}?at={at or f'127.0.0.1:{bouncer.port}'}{how[reload]}"


@pytest.fixture(params=["the verifier", "in the clear"])
def bouncer(request, server, pgbouncer):
    listed = verifier(server, "app_a").replace('"', '""') if request.param == "the verifier" else "first"
    return pgbouncer("userlist", app_a=listed)


@pytest.mark.parametrize("reload", RELOADS)
def test_two_roles_are_let_in_by_the_list_from_before_promotion_until_retirement(server, bouncer, reload):
    one = rotator(server, "&other=app_b" + also(bouncer, reload))
    current = CURRENT
    for _ in range(3):
        one.check(current)
        pending = one.create(current)
        one.set(pending, current)
        one.test(pending)
        for data in (current, pending):
            with login(bouncer, data["username"], data["password"]) as session:
                assert session.execute("SELECT current_user").fetchone() == (data["username"],)
        one.retire(current, pending)
        one.test(pending)
        assert not accepts(bouncer, current["username"], current["password"])
        current = pending


@pytest.mark.parametrize("reload", RELOADS)
def test_one_role_is_let_in_by_the_list_before_promotion(server, bouncer, reload):
    one = rotator(server, also(bouncer, reload))
    assert [text for text in one.check(CURRENT) if "server_login_retry" in text]
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert accepts(bouncer, "app_a", pending["password"])
    assert not accepts(bouncer, "app_a", "first")
    one.set(CURRENT, pending)
    one.test(CURRENT)


def test_the_form_of_a_password_and_all_other_lines_stay(server, bouncer):
    before = bouncer.users.read_bytes() + b'; a comment\n  "other"  "a ""quoted"" one" ; more\n'
    bouncer.users.write_bytes(before)
    os.chmod(bouncer.users, 0o640)
    own(bouncer.users)
    found = os.stat(bouncer.users)
    listed = UserList(str(bouncer.users))
    form = kind(listed.password("app_a"))
    one = rotator(server, also(bouncer))
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    assert kind(listed.password("app_a")) == form
    if form == "scram":
        assert listed.password("app_a") == verifier(server, "app_a")
    else:
        assert listed.password("app_a") == pending["password"]
    lines = [line for line in bouncer.users.read_bytes().splitlines() if not line.startswith(b'"app_a"')]
    assert lines == [line for line in before.splitlines() if not line.startswith(b'"app_a"')]
    after = os.stat(bouncer.users)
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (found.st_uid, found.st_gid, 0o640)
    assert listed.password("other") == 'a "quoted" one'
    assert os.listdir(bouncer.directory) == [name for name in os.listdir(bouncer.directory) if ".new" not in name]


@pytest.mark.parametrize("more", ["", "&other=app_b"])
def test_a_rotation_that_fails_is_undone_in_the_list_too(server, bouncer, more, make_manager, monkeypatch):
    manager = make_manager()
    manager.set_secrets({"A": CURRENT, "postgres": ADMIN})
    place = f"postgres@127.0.0.1:{server.port}/postgres?role=app_a&admin_secret=postgres"
    gate = "SELECT 1/(1-count(*)) FROM pg_roles WHERE rolname = 'gate'"
    manager.rotation.attach("A", f"postgresql://{place}{more}{also(bouncer)}&test={gate}")
    monkeypatch.setattr("strongroom.rotators.postgresql.look.check_login", lambda *given: None)
    before = {user: UserList(str(bouncer.users)).password(user) for user in ("app_a", "app_b")}
    server.execute("CREATE ROLE gate")
    try:
        with pytest.raises(RotationError, match="given the current value back"):
            manager.rotation.rotate("A", wait=0)
        assert accepts(bouncer, "app_a", "first")
    finally:
        server.execute("DROP ROLE gate")
    manager.rotation.abort("A")
    assert accepts(server, "app_a", "first")
    assert accepts(bouncer, "app_a", "first")
    after = {user: UserList(str(bouncer.users)).password(user) for user in ("app_a", "app_b")}
    assert {user: kind(text) for user, text in after.items() if user == "app_a"} == {"app_a": kind(before["app_a"])}
    if more and kind(before["app_a"]) == "scram":
        assert after["app_a"] == before["app_a"]


def test_a_list_that_cannot_be_replaced_leaves_the_server_as_it_was(server, bouncer, monkeypatch):
    one = rotator(server, "&other=app_b" + also(bouncer))
    before, listed = verifier(server, "app_b"), bouncer.users.read_bytes()
    monkeypatch.setattr("os.replace", no_space)
    with pytest.raises(SourceRefusedError, match="its disk is full"):
        one.set(one.create(CURRENT), CURRENT)
    assert verifier(server, "app_b") == before
    assert bouncer.users.read_bytes() == listed


def no_space(*paths):
    raise OSError(28, os.strerror(28))


def test_a_server_that_refuses_leaves_the_list_as_it_was(server, bouncer):
    one = rotator(server, "&other=app_b" + also(bouncer))
    listed = bouncer.users.read_bytes()
    one._server.admin = "nobody_at_all"
    with pytest.raises(SourceRefusedError):
        one.set(one.create(CURRENT), CURRENT)
    assert bouncer.users.read_bytes() == listed


def test_clients_that_stay_logged_in_are_not_shut_out_by_a_rotation_that_is_undone(server, bouncer):
    one = rotator(server, "&other=app_b" + also(bouncer))
    before = verifier(server, "app_a")
    with login(bouncer, "app_a", "first") as session:
        pending = one.create(CURRENT)
        one.set(pending, CURRENT)
        one.set(CURRENT, pending)
        one.retire(pending, CURRENT)
        if kind(UserList(str(bouncer.users)).password("app_a")) == "scram":
            # Another salt would make pgbouncer's next connection to the server fail.
            assert verifier(server, "app_a") == before
        server.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app_a'")
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert accepts(bouncer, "app_a", "first")
    assert not accepts(bouncer, "app_b", pending["password"])


@pytest.mark.parametrize("reload", ["pid", "console"])
def test_what_would_fail_is_found_before_anything_is_changed(server, pgbouncer, reload, tmp_path):
    bouncer = pgbouncer("userlist", app_a="first")
    good = also(bouncer, reload)
    rotator(server, good).check(CURRENT)
    no_pid = tmp_path / "pid"
    no_pid.write_text(f"{os.getpid()}\n")
    for wrong, said in [
        (good.replace("userlist.txt", "gone.txt"), "there is no such file"),
        (good.replace(str(bouncer.port), "1"), "pgbouncer at 127.0.0.1:1, .*nothing listens there"),
        (
            good + f",pgbouncer:{bouncer.users}?at=127.0.0.1:{bouncer.port}%26pid={no_pid}",
            "not the pid file of a running",
        ),
        (f"{good.partition('%26')[0]}%26console=app_a%26secret=first", "as role 'app_a'"),
    ]:
        with pytest.raises(SourceRefusedError, match=said):
            rotator(server, wrong).check(CURRENT)
    assert accepts(bouncer, "app_a", "first")


def test_a_pgbouncer_that_does_not_take_the_list_is_found_before_promotion(server, pgbouncer, monkeypatch):
    monkeypatch.setattr("strongroom.rotators.pgbouncer.WAIT", 1.0)
    bouncer, other = pgbouncer("userlist", app_a="first"), pgbouncer("userlist", app_a="first")
    one = rotator(server, "&other=app_b" + also(bouncer, at=f"127.0.0.1:{other.port}"))
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    with pytest.raises(RotationError, match=f"pgbouncer at 127.0.0.1:{other.port}, as role 'app_b'"):
        one.test(pending)


def test_an_md5_entry_becomes_scram_only_when_that_is_asked_for(server, pgbouncer):
    import hashlib

    entry = "md5" + hashlib.md5(b"firstapp_a").hexdigest()
    bouncer = pgbouncer("userlist", auth_type="md5", app_a=entry, app_b="x")
    with pytest.raises(SourceRefusedError, match=r"pgbouncer's list .*, 'app_a': the role has an MD5 password"):
        rotator(server, also(bouncer)).check(CURRENT)
    one = rotator(server, "&md5=upgrade" + also(bouncer))
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert kind(UserList(str(bouncer.users)).password("app_a")) == "scram"


def test_a_pgbouncer_that_asks_for_md5_is_told_so_when_that_is_allowed(server, pgbouncer):
    bouncer = pgbouncer("userlist", auth_type="md5", app_a="first")
    with pytest.raises(SourceRefusedError, match=r"pgbouncer at .*: it asks for MD5 \(auth_type=md5"):
        rotator(server, also(bouncer)).check(CURRENT)
    one = rotator(server, "&md5=upgrade" + also(bouncer))
    one.check(CURRENT)
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert accepts(bouncer, "app_a", pending["password"])


def test_two_pgbouncers_are_both_told(server, pgbouncer):
    two = [pgbouncer("userlist", app_a="first"), pgbouncer("userlist", app_a=verifier(server, "app_a"))]
    more = f"{also(two[0])},{also(two[1]).removeprefix('&also=')}"
    one = rotator(server, f"&other=app_b{more}")
    one.check(CURRENT)
    pending = one.create(CURRENT)
    one.set(pending, CURRENT)
    one.test(pending)
    assert all(accepts(bouncer, "app_b", pending["password"]) for bouncer in two)


def test_two_roles_leave_no_gap_for_clients_that_log_in_without_a_pause(server, pgbouncer, make_manager):
    bouncer = pgbouncer("userlist", app_a=verifier(server, "app_a"))
    manager = make_manager()
    manager.set_secrets({"A": CURRENT, "postgres": ADMIN})
    place = f"postgres@127.0.0.1:{server.port}/postgres?role=app_a&other=app_b&admin_secret=postgres"
    manager.rotation.attach("A", f"postgresql://{place}{also(bouncer)}", grace=3600)
    ended, refused, count = threading.Event(), [], [0, 0]

    def client(number):
        while not ended.is_set():
            data = manager.get_data("A")
            try:
                login(bouncer, data["username"], data["password"]).execute("SELECT 1")
            except psycopg.Error as error:
                refused.append(str(error))
            count[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            manager.rotation.rotate("A", wait=0)
            before = list(count)
            while any(now < then + 2 for now, then in zip(count, before, strict=True)):
                time.sleep(0.01)
            manager.rotation.retire("A", force=True)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert refused == []
    assert min(count) >= 6


@pytest.mark.parametrize(
    "text", ["pgbouncer:relative?at=h", "pgbouncer:/list", "pgbouncer:/list?at=h%26what=1", "pgbouncer:/list?at=h",
             "pgpool:/list?at=h",
             "pgbouncer:/list?at=h:port%26pid=/pid"],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(server, text):
    with pytest.raises(ConfigError):
        rotator(server, f"&also={text}")

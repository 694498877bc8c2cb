"""Odd arguments, clocks and resources: only errors of ours leave the library, and it works afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import strongroom
from strongroom import StrongroomError, fallback
from strongroom.manager.manager import SecretsManager
from strongroom.system.moment import LATEST
from strongroom.testing.store_case import in_child


class Contrary:
    """Whoever compares it is told off."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    __hash__ = None  # type: ignore[assignment]


NUMBERS = [0, -1, 1, 2**31, 2**32, 2**63, 2**64, 2**70, 10**5000, -(10**5000), 0.0, -0.0, 1.5, 1e308, -1e308,
           float("inf"), float("-inf"), float("nan"), 1 + 2j, True]  # fmt: skip
TEXTS = ["", "a", "\0", "\ud800", "a" * 600, "x/" * 300, "*", "\u202e", "..", "é" * 256, "\n", "=", "$(id)"]
THINGS = [None, b"", b"a", b"\xff", [], [1], ["a"], (), (1, 2), {}, {"a": 1}, {"a": "\ud800"}, {"\ud800": "a"},
          {"a": b"x"}, {1: 2}, {"a": float("nan")}, {"a": 10**5000}, {"a": {"b": [None]}}, {"": ""}, {"value": 5},
          set(), frozenset([1]), object(), len, int, Contrary(), memoryview(b"abc"), bytearray(b"x"), range(3),
          Exception("x"), os]  # fmt: skip
ODD = [*NUMBERS, *TEXTS, *THINGS]

CALLS: dict[str, Callable[[SecretsManager, Any], Any]] = {
    "get_secret": lambda m, x: m.get_secret(x),
    "get_secret version": lambda m, x: m.get_secret("A", version=x),
    "get_secret field": lambda m, x: m.get_secret("A", field=x),
    "get_data": lambda m, x: m.get_data(x),
    "get_data version": lambda m, x: m.get_data("A", version=x),
    "list_secrets": lambda m, x: m.list_secrets(x),
    "metadata": lambda m, x: m.metadata(x),
    "history": lambda m, x: m.history(x),
    "audit limit": lambda m, x: m.get_audit_logs(limit=x),
    "audit name": lambda m, x: m.get_audit_logs(name=x),
    "audit action": lambda m, x: m.get_audit_logs(action=x),
    "audit outcome": lambda m, x: m.get_audit_logs(outcome=x),
    "audit actor": lambda m, x: m.get_audit_logs(actor=x),
    "audit since": lambda m, x: m.get_audit_logs(since=x),
    "secret": lambda m, x: m.secret(x),
    "verify_encryption": lambda m, x: m.verify_encryption(x),
    "set_secret name": lambda m, x: m.set_secret(x, "v"),
    "set_secret value": lambda m, x: m.set_secret("B", x),
    "set_secret cas": lambda m, x: m.set_secret("B", "v", cas=x),
    "set_secret expires_in": lambda m, x: m.set_secret("C", "v", expires_in=x),
    "set_secret custom": lambda m, x: m.set_secret("B", "v", custom=x),
    "set_secret custom text": lambda m, x: m.set_secret("B", "v", custom={"a": x}),
    "set_secret max_versions": lambda m, x: m.set_secret("B", "v", max_versions=x),
    "set_secrets": lambda m, x: m.set_secrets(x),
    "rotate_secret": lambda m, x: m.rotate_secret(x),
    "rotate_secret value": lambda m, x: m.rotate_secret("D", x),
    "rotate_secret cas": lambda m, x: m.rotate_secret("D", "x", cas=x),
    "rollback": lambda m, x: m.rollback("D", x),
    "rollback name": lambda m, x: m.rollback(x, 1),
    "describe_secret custom": lambda m, x: m.describe_secret("D", custom=x),
    "describe_secret max_versions": lambda m, x: m.describe_secret("D", max_versions=x),
    "delete_secret": lambda m, x: m.delete_secret(x),
    "delete_secret numbers": lambda m, x: m.delete_secret("D", x),
    "undelete_secret numbers": lambda m, x: m.undelete_secret("D", x),
    "destroy_secret numbers": lambda m, x: m.destroy_secret("E", x),
    "bind": lambda m, x: m.bind(x).get_secret("A"),
    "rekey_data": lambda m, x: m.custody.rekey_data(x),
    "remove_recipient": lambda m, x: m.custody.remove_recipient(x),
    "attach": lambda m, x: m.rotation.attach("A", x),
    "attach every": lambda m, x: m.rotation.attach("A", "generate:", every=x),
    "detach": lambda m, x: m.rotation.detach(x),
    "status": lambda m, x: m.rotation.status(x),
    "get_secret_or_env": lambda _, x: strongroom.get_secret_or_env(x),
    "get_secret_or_env variable": lambda _, x: strongroom.get_secret_or_env("missing", x),
    "get_secret_or_env field": lambda _, x: strongroom.get_secret_or_env("A", field=x),
    "init algorithm": lambda _, x: strongroom.init("memory:", audit="memory:", algorithm=x).close(),
}
SETTINGS = ["store", "key", "audit", "actor", "service", "sync", "audit_max_bytes", "audit_keep", "max_versions",
            "on_rollback", "on_error", "policy", "store_id"]  # fmt: skip


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, master_key):
    monkeypatch.chdir(tmp_path)
    fallback.reset()
    yield
    fallback.reset()


def attempt(call: Callable[[], Any]) -> None:
    """Make a call that may raise an error of ours, which can be shown."""
    try:
        call()
    except StrongroomError as error:
        shown = str(error)
        assert shown.isprintable(), ascii(shown)
        assert len(shown) < 1500


@pytest.mark.parametrize("name", CALLS)
def test_an_odd_argument_ends_in_an_error_of_ours(make_manager, name):
    manager = strongroom.init(audit="memory:")
    for one in "ABDE":
        manager.set_secret(one, "v")
    for odd in ODD:
        attempt(lambda odd=odd: CALLS[name](manager, odd))
    assert manager.verify().ok
    assert manager.verify_audit().ok
    manager.set_secret("F", "works")
    assert manager.get_secret("F") == "works"
    manager.close()


@pytest.mark.parametrize("name", SETTINGS)
def test_an_odd_setting_ends_in_an_error_of_ours(name):
    strongroom.init("secrets.db", audit="memory:").close()
    for odd in ODD:
        attempt(lambda odd=odd: strongroom.open(**{"audit": "memory:", name: odd}).close())


# Clocks


CLOCKS = [0.0, 0.25, -1.0, -1e9, -1e18, LATEST + 1, 1e12, 1e18, 1e300, float("inf")]


@pytest.mark.parametrize("kind", ["sqlite", "file", "memory"])
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_wrong_clock_stops_nothing(monkeypatch, make_manager, kind, clock):
    nanoseconds = int(max(min(clock, 9.2e9), -9.2e9) * 1e9)  # what the kernel can say
    monkeypatch.setattr(time, "time", lambda: clock)
    monkeypatch.setattr("strongroom.audit.log.AuditLog._clock", staticmethod(lambda: nanoseconds))
    manager = make_manager(kind)
    for turn in range(3):
        manager.set_secret("A", f"{turn}", expires_in=9e9)
    manager.delete_secret("A", [1])
    manager.rotate_secret("A", "rotated")
    manager.rotation.attach("A", "generate:", every=10, grace=1e9)
    manager.rotation.rotate("A", wait=0)
    manager.custody.rekey_data()
    assert isinstance(manager.get_secret("A"), str)
    assert manager.secret("A").value == manager.get_secret("A")
    assert all(0 <= version.created <= LATEST for version in manager.history("A"))
    assert manager.rotation.status()
    assert manager.verify().ok
    assert manager.verify_audit().ok
    events = manager.get_audit_logs(limit=None)
    assert all(len(event["ts"]) == len("2026-01-01T00:00:00.000000Z") for event in events)


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_command_line_shows_what_a_wrong_clock_wrote(monkeypatch, capsys, clock):
    from strongroom.cli.program import main

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: clock)
        with strongroom.init("secrets.db") as manager:
            manager.set_secret("A", "v", expires_in=9e9)
            manager.delete_secret("A")
    for command in (["history", "A"], ["metadata", "A"], ["rekey", "list"], ["doctor"], ["audit", "log"]):
        try:
            main(command)
        except SystemExit as ended:
            assert ended.code in (0, 1, 2, 3, 5)  # noqa: PT017
        assert "Traceback" not in capsys.readouterr().err


# Threads


def test_without_a_thread_a_live_handle_says_so(monkeypatch, make_manager):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    manager = make_manager("sqlite")
    manager.set_secret("A", "v")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StrongroomError, match="no thread can be started"):
            manager.secret("A")
        # To attach a rotator asks the source in a thread of its own.
        with pytest.raises(strongroom.RotationError, match="no thread"):
            manager.rotation.attach("A", "generate:")
    manager.rotation.attach("A", "generate:")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(strongroom.RotationError, match="no thread"):
            manager.rotation.rotate("A")
    seen = []
    live = manager.secret("A")
    live.on_change(lambda handle: seen.append(handle.value))
    assert live.value == "v"
    manager.rotation.rotate("A")
    assert live.value != "v"


# Descriptors


DESCRIPTORS: dict[str, Callable[[SecretsManager, str], Any]] = {
    "get": lambda m, _: m.get_secret("A"),
    "missing": lambda m, _: m.get_secret("missing"),
    "set": lambda m, _: m.set_secret("A", "new"),
    "history": lambda m, _: m.history("A"),
    "verify": lambda m, _: m.verify(),
    "verify_audit": lambda m, _: m.verify_audit(),
    "audit": lambda m, _: m.get_audit_logs(),
    "live": lambda m, _: m.secret("A").value,
    "rekey": lambda m, _: m.custody.rekey_data(),
    "open": lambda _, url: strongroom.open(url).close(),
    "init": lambda _, url: strongroom.init(f"{url}.new.db").close(),
}


def descriptors() -> Iterator[None]:
    """Take all descriptors, and give them back one by one, a few."""
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        pass
    for _ in range(4):
        yield
        os.close(taken.pop())
    for descriptor in taken:
        os.close(descriptor)


@pytest.mark.parametrize("call", DESCRIPTORS)
@pytest.mark.parametrize("url", ["sqlite:secrets.db", "file:secrets.enc"])
def test_without_descriptors_there_are_errors_of_ours_and_then_it_works(url, call):
    def work() -> None:
        with strongroom.init(url) as manager:
            manager.set_secret("A", "v")
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40,) * 2)
            for _ in descriptors():
                attempt(lambda: DESCRIPTORS[call](manager, url))
            before = len(os.listdir("/proc/self/fd"))
            attempt(lambda: DESCRIPTORS[call](manager, url))
            manager.set_secret("A", "works")
            assert manager.get_secret("A") == "works"
            assert manager.verify().ok
            assert len(os.listdir("/proc/self/fd")) <= before + 4

    assert in_child(work) == 0


@pytest.mark.parametrize("name", ["pread", "fstat", "lstat", "stat"])
def test_a_disk_that_fails_once_is_an_error_of_ours_wherever_it_fails(tmp_path, master_key, monkeypatch, name):
    real = getattr(os, name)
    left = 0

    def fail_once(*arguments, **more):
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **more)

    with strongroom.init(f"sqlite:{tmp_path}/store.db", audit=f"file:{tmp_path}/audit.log") as secrets:
        secrets.set_secret("A", "0")
        for number in range(1, 200):
            left = number
            with monkeypatch.context() as patch, contextlib.suppress(StrongroomError):
                patch.setattr(os, name, fail_once)
                secrets.set_secret("A", str(number))
                assert secrets.get_secret("A") == str(number)
            if left > 0:
                break
        secrets.set_secret("A", "the last")
        assert secrets.get_secret("A") == "the last"
        assert secrets.verify_audit().problems == ()
        assert secrets.verify().ok
    assert left > 0

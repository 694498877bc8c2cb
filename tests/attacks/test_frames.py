"""Frames are a channel: error reporters keep the local variables of every frame that an exception came by.

No frame of ours, and none of a library that we handed a value, shows a value, a key or a password when an exception
leaves the public interface, and neither does an exception behind it.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import tempfile
from pathlib import Path

import pytest

import strongroom
from campaign.canary import CANARY
from strongroom import fallback
from strongroom.audit_sinks.memory import MemorySink
from strongroom.crypto.master_key import parse_key
from strongroom.errors import (
    AuditError,
    ConflictError,
    RotationError,
    StoreError,
    StrongroomError,
)
from strongroom.integrations.retry import with_refresh
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.model import SECRET
from strongroom.system import frames

from .hidden import PASSPHRASE, Failing, Open, Rotator, Setting, cheap
from .reporter import exceptions, needles, shown

ROOT = str(Path(strongroom.__file__).parent) + os.sep


@pytest.fixture
def setting(master_key):
    setting = Setting(master_key)
    yield setting
    setting.secrets.close()


def live(secrets):
    handle = secrets.secret("A")
    secrets.set_secret("A", CANARY + "3")
    return handle, handle.value, handle.accepted(3600)


CALLS = {
    "get_secret": lambda secrets: secrets.get_secret("A", CANARY),
    "get_secret of a version": lambda secrets: secrets.get_secret("A", version=1),
    "get_secret of a field": lambda secrets: secrets.get_secret("F", field="password"),
    "get_data": lambda secrets: secrets.get_data("F"),
    "set_secret": lambda secrets: secrets.set_secret("A", CANARY),
    "set_secret of fields": lambda secrets: secrets.set_secret("F", {"user": "u", "password": CANARY}),
    "set_secret of bytes": lambda secrets: secrets.set_secret("A", CANARY.encode()),
    "set_secrets": lambda secrets: secrets.set_secrets({"A": CANARY, "B": CANARY}),
    "rotate_secret": lambda secrets: secrets.rotate_secret("A", CANARY),
    "rollback": lambda secrets: secrets.rollback("A", 1),
    "describe_secret": lambda secrets: secrets.describe_secret("A", custom={"owner": "team"}),
    "delete_secret": lambda secrets: secrets.delete_secret("A"),
    "destroy_secret": lambda secrets: secrets.destroy_secret("A", [1]),
    "secret": live,
    "verify": lambda secrets: secrets.verify(),
    "verify_encryption": lambda secrets: secrets.verify_encryption("A"),
    "verify_audit": lambda secrets: secrets.verify_audit(),
    "rekey_data": lambda secrets: secrets.custody.rekey_data(),
    "rekey_master": lambda secrets: secrets.custody.rekey_master(PassphraseProvider(lambda: PASSPHRASE, cheap())),
    "add_recipient": lambda secrets: secrets.custody.add_recipient(PassphraseProvider(lambda: PASSPHRASE, cheap())),
    "audit_keys": lambda secrets: secrets.custody.audit_keys(),
    "rotate": lambda secrets: secrets.rotation.rotate("A", Rotator(), wait=0),
    "with_refresh": lambda secrets: with_refresh(secrets, "A", len),
    "open": lambda secrets: strongroom.open(secrets._access.engine.store, "env:SECRETS_MASTER_KEY", "memory:"),
    "init": lambda secrets: strongroom.init("memory:", "env:SECRETS_MASTER_KEY", "memory:"),
}


@pytest.fixture
def place():
    """A directory in memory where there is one: what is not synced is not tested here."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="strongroom-", dir=memory) as directory:
        yield directory


@contextlib.contextmanager
def traced(on_line):
    """Call `on_line(file, line)` before each line of strongroom's, and let what it raises be raised there."""

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        if event == "line":
            on_line((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()  # of a run under coverage
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def lines_of(call, secrets) -> list[tuple[str, int]]:
    """Return each line of strongroom's that a call comes by, once, in order."""
    came: dict[tuple[str, int], None] = {}
    with traced(lambda line: came.setdefault(line)):
        call(secrets)
    return [line for line in came if line not in own_lines()]


def own_lines() -> set[tuple[str, int]]:
    """Return the lines where the interface begins: an interrupt there finds what the caller has just passed."""
    source, first = inspect.getsourcelines(strongroom.SecretsManager.get_secret)
    begin = next(at for at, line in enumerate(source) if line.strip() == "try:")
    lines = {(frames.__file__, number) for number in range(1, 500)}
    return lines | {(strongroom.manager.manager.__file__, first + at) for at in range(begin + 1)}


def interrupt(setting, call, target, error) -> bool:
    """Raise `error` at a line; True when it was reached."""

    def on_line(line):
        if line == target:
            raise error

    caught = None
    try:
        with traced(on_line):
            call(setting.secrets)
    except (error, StrongroomError) as raised:
        caught = raised
        setting.check(caught)
    with contextlib.suppress(StrongroomError):
        setting.secrets.close()
    return caught is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError], ids=lambda error: error.__name__)
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_on_any_line_shows_nothing(master_key, name, error):
    lines = lines_of(CALLS[name], Setting(master_key).secrets)
    assert len(lines) > 20
    # Each fifth line with each of the two errors, from another one on.
    raised = sum(
        interrupt(Setting(master_key), CALLS[name], line, error) for line in lines[error is MemoryError :: 5]
    )  # fmt: skip
    assert raised > 5


@pytest.mark.parametrize("kind", ["sqlite", "file"])
@pytest.mark.parametrize("name", ["get_secret", "set_secret", "secret", "rotate"])
def test_an_interrupt_in_a_store_on_disk_shows_nothing(master_key, place, kind, name):
    def make(number):
        return Setting(master_key, f"file:{place}/{number}.log", f"{kind}:{place}/{number}")

    lines = lines_of(CALLS[name], make("first").secrets)
    raised = 0
    for number, line in enumerate(lines[:: max(1, len(lines) // 15)]):
        setting = make(number)
        raised += interrupt(setting, CALLS[name], line, KeyboardInterrupt)
    assert raised > 5


@pytest.mark.parametrize("name", CALLS)
def test_an_audit_log_that_fails_shows_nothing(master_key, name):
    for at in range(40):
        sink = Failing(MemorySink(), "append", AuditError("the log is full"))
        setting = Setting(master_key, sink)
        sink.left = at
        try:
            CALLS[name](setting.secrets)
        except AuditError as error:
            setting.check(error)
        else:
            break
    else:
        pytest.fail("it writes more events than were tried")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("method", ["get", "scan", "view", "transaction", "revision", "commits"])
@pytest.mark.parametrize("error", [StoreError, OSError, MemoryError, RecursionError], ids=lambda error: error.__name__)
def test_a_store_that_fails_shows_nothing(setting, method, error):
    inner = setting.secrets._access.engine.store
    failed = 0
    for name in ("get_secret", "set_secret", "rotate_secret", "rollback", "secret", "rekey_data", "rotate"):
        for at in range(6):
            store = Failing(Open(inner), method, error("no more"))
            with strongroom.open(store, audit="memory:") as secrets:
                store.left = at
                try:
                    CALLS[name](secrets)
                except (error, StrongroomError) as caught:
                    failed += 1
                    setting.check(caught)
                store.left = -1
    assert failed or method == "commits"


class Odd:
    def __repr__(self):
        return "an odd object"


def nested(depth):
    return {"a": nested(depth - 1)} if depth else CANARY


@pytest.mark.parametrize(
    "value",
    [
        [CANARY], {CANARY}, {"a": Odd(), "b": CANARY}, {"a": CANARY, 1: CANARY}, {"": CANARY}, nested(150), 7,
        CANARY + "\udc80", {"a": CANARY + "\udc80"}, {"a": float("nan"), "b": CANARY}, CANARY * 600_000,
    ],
    ids=["list", "set", "object", "number as a field", "empty field", "deep", "number", "surrogate",
         "surrogate in a field", "nan", "too long"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["set_secret", "rotate_secret", "set_secrets", "rotation.rotate"])
def test_a_value_that_cannot_be_kept_is_not_shown(setting, method, value):
    secrets = setting.secrets
    calls = {
        "set_secrets": lambda: secrets.set_secrets({"B": CANARY, "A": value}),
        "rotation.rotate": lambda: secrets.rotation.rotate("A", Rotator(), new_value=value),
    }
    with pytest.raises(StrongroomError) as caught:
        calls.get(method, lambda: getattr(secrets, method)("A", value))()
    setting.check(caught.value)


def test_a_conflict_shows_nothing(setting):
    for call in (
        lambda: setting.secrets.set_secret("A", CANARY, cas=77),
        lambda: setting.secrets.rotate_secret("A", CANARY, cas=77),
        lambda: setting.secrets.rollback("A", 1, cas=77),
        lambda: setting.secrets.set_secrets({"A": CANARY}, overwrite=False),
        lambda: setting.secrets.rotation.rotate("A", Rotator(), cas=77),
    ):
        with pytest.raises(ConflictError) as caught:
            call()
        setting.check(caught.value)


def test_arguments_of_the_wrong_type_or_number_show_nothing(setting):
    for call in (
        lambda: setting.secrets.set_secret("A", "x", CANARY),
        lambda: setting.secrets.get_secret("A", version=CANARY),
        lambda: setting.secrets.get_secret("A", field=CANARY.encode()),
        lambda: setting.secrets.set_secret("A", "x", custom=CANARY),
        lambda: setting.secrets.set_secret("A", "x", max_versions=CANARY),
        lambda: setting.secrets.set_secret("A", CANARY, 0, 0, 0, 0),
        lambda: setting.secrets.set_secret(name="A", value=CANARY, vaule=CANARY),
        lambda: setting.secrets.set_secrets([("A", CANARY)]),
    ):
        with pytest.raises((StrongroomError, TypeError)) as caught:
            call()
        setting.check(caught.value)


def hold_and_raise(error, value):
    held = {"password": value}
    raise error(len(held))


def raise_group(value, error):
    """Raise a group of exceptions, as tasks of a `TaskGroup` do, each from a frame that holds the value."""
    members = []
    for kind in (error, OSError):
        try:
            hold_and_raise(kind, value)
        except BaseException as member:
            members.append(member)
    raise BaseExceptionGroup("several", [BaseExceptionGroup("inner", members)])


class GroupingProvider:
    """A key provider whose tasks fail."""

    url = "tasks:"

    def __init__(self, error) -> None:
        self.error = error

    def wrap(self, *given):
        raise_group(given, self.error)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("call", ["attempt", "rotator", "provider"])
def test_a_group_of_exceptions_shows_nothing(setting, call, error):
    rotator = Rotator()
    rotator.create = lambda *given: raise_group(CANARY, error)
    secrets = setting.secrets
    calls = {
        "attempt": lambda: with_refresh(secrets, "A", lambda value: raise_group(value, error)),
        "rotator": lambda: secrets.rotation.rotate("A", rotator, wait=0),
        "provider": lambda: secrets.custody.rekey_master(GroupingProvider(error)),
    }
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        calls[call]()
    met = 0
    for each in exceptions(caught.value):
        trace = each.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code in (hold_and_raise.__code__, raise_group.__code__):
                met += 1
                assert trace.tb_frame.f_locals == {}
            trace = trace.tb_next
    assert met or isinstance(caught.value, StrongroomError)


@pytest.mark.parametrize("error", [ValueError, RotationError, KeyboardInterrupt, SystemExit, UnicodeError])
@pytest.mark.parametrize("step", ["create", "set", "test", "retire"])
def test_a_rotator_that_fails_shows_nothing(setting, step, error):
    if error is RotationError:
        error = lambda held: RotationError("refused")  # noqa: E731
    with pytest.raises(RotationError) as caught:
        setting.secrets.rotation.rotate("A", Rotator(step, error), wait=5)
    setting.check(caught.value)
    if step != "create":
        for method in (setting.secrets.rotation.resume, setting.secrets.rotation.abort):
            with pytest.raises(StrongroomError) as caught:
                method("A", Rotator("test" if step != "retire" else step, error))
            setting.check(caught.value)


def test_a_damaged_record_shows_nothing(setting, plant):
    stored = setting.secrets._access.engine.store.get(SECRET + "A")
    for at in range(0, len(stored), 3):
        plant(setting.secrets, SECRET + "A", stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :])
        for call in (lambda: setting.secrets.get_secret("A", version=1), lambda: setting.secrets.secret("A")):
            try:
                call()
            except StrongroomError as error:
                setting.check(error)


def test_a_wrong_or_malformed_key_is_not_shown(setting, master_key, monkeypatch):
    store = setting.secrets._access.engine.store
    other = strongroom.generate_master_key()
    for key, hidden in ((other, [other, parse_key(other)]), (CANARY, [CANARY]), (other[:-3] + "\udc80", [other[:-3]])):
        monkeypatch.setenv("SECRETS_MASTER_KEY", key)
        opened = [lambda: strongroom.open(Open(store), audit="memory:")]
        for call in opened if key == other else [*opened, lambda: strongroom.init("memory:", audit="memory:")]:
            with pytest.raises(StrongroomError) as caught:
                call()
            assert shown(caught.value, needles(*hidden)) == []
    monkeypatch.setenv("SECRETS_MASTER_KEY", master_key)


def test_a_passphrase_is_not_shown(setting):
    engine = setting.secrets._access.engine
    provider = PassphraseProvider(lambda: PASSPHRASE, cheap())
    setting.secrets.custody.add_recipient(provider)
    strongroom.open(Open(engine.store), provider, "memory:")
    sealed = provider.wrap(bytes(32), b"context")
    for given in ("too short", PASSPHRASE + "x", PASSPHRASE + "\ud800", None):
        provider = PassphraseProvider(lambda given=given: given, cheap())
        calls = [
            lambda provider=provider: strongroom.open(Open(engine.store), provider, "memory:"),
            lambda provider=provider: provider.unwrap(sealed, b"context"),
            lambda provider=provider: provider.unwrap(sealed[:20] + bytes(40), b"context"),
        ]
        if given in ("too short", None):
            calls.append(lambda provider=provider: provider.wrap(engine.unlocked.root, b"context"))
        for call in calls:
            with pytest.raises((StrongroomError, UnicodeError, TypeError, AttributeError)) as caught:
                call()
            assert shown(caught.value, setting.hidden | needles("too short")) == []


def test_the_default_store_shows_nothing(setting, monkeypatch, tmp_path):
    monkeypatch.setenv("STRONGROOM_STORE", f"sqlite:{tmp_path}/store")
    monkeypatch.setenv("STRONGROOM_AUDIT", "memory:")
    with strongroom.init() as secrets:
        secrets.set_secret("A", {"a": CANARY, "b": CANARY})
    fallback.reset()
    with pytest.raises(StrongroomError) as caught:
        strongroom.get_secret_or_env("A", "A", CANARY)
    setting.check(caught.value)
    fallback.reset()

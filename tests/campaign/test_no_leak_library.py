"""One value driven through every operation and every error of the library, then looked for where it must not be."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from contextlib import suppress

import pytest

import strongroom
from strongroom import exchange
from strongroom.errors import StrongroomError
from strongroom.exchange import fernet_json
from strongroom.model import SECRET, version_path
from strongroom.protocols import Store
from strongroom.records.keyset import ALGORITHMS

from . import KINDS
from .canary import CANARY, everything_below, files_with_it, leaks, told_by

FIELDS = {"user": "u", "password": CANARY}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A directory for everything: the store, the log, and temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[(kind, algorithm) for kind in KINDS for algorithm in ALGORITHMS], ids="-".join)
def secrets(request, home, master_key):
    kind, algorithm = request.param
    policy = [
        {
            "actor": "alice",
            "name": "*",
            "capabilities": ["create", "read", "update", "delete", "list", "audit", "manage"],
        }
    ]
    with strongroom.init(
        f"{kind}:{home}/store", audit=f"file:{home}/audit.log", algorithm=algorithm, actor="alice", policy=policy
    ) as manager:
        yield manager


@pytest.fixture
def heard(caplog):
    """Everything that is logged, down to the finest level, and every warning."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield lambda: caplog.text + "".join(str(warning.message) for warning in warned)


def use(secrets: strongroom.SecretsManager) -> None:
    """Every operation that a value goes through."""
    secrets.set_secret("plain", CANARY, custom={"owner": "team"}, expires_in=1000)
    secrets.set_secret("plain", CANARY)
    secrets.set_secret("bytes", CANARY.encode())
    secrets.set_secrets({"fields": FIELDS, "imported": CANARY})
    secrets.rotate_secret("plain", CANARY)
    secrets.rollback("plain", 1)
    secrets.describe_secret("plain", custom={"owner": "other"})
    assert secrets.get_secret("plain") == secrets.get_secret("plain", version=2) == CANARY
    assert secrets.get_field("fields", "password") == CANARY
    assert secrets.get_data("fields") == FIELDS
    secrets.delete_secret("imported")
    secrets.undelete_secret("imported")
    secrets.list_secrets()
    secrets.history("plain")
    secrets.verify_encryption("plain")
    secrets.verify()
    secrets.get_audit_logs()
    secrets.verify_audit()
    secrets.custody.rekey_data()


def test_no_file_log_or_output_holds_the_value(secrets, home, heard, capfd):
    use(secrets)
    assert files_with_it(home) == {}
    assert any(name.endswith(("-wal", ".lock")) for name in os.listdir(home)), "the files of a running store are there"
    secrets.close()
    assert files_with_it(home) == {}
    assert leaks(heard()) == leaks("".join(capfd.readouterr())) == []


def test_the_manager_keeps_no_value_and_shows_none(secrets):
    use(secrets)
    objects = everything_below(secrets)
    assert len(objects) > 100
    for found in objects:
        assert leaks(repr(found)) == [], f"a {type(found).__name__} shows it"


def test_a_secret_shows_nothing_of_its_value():
    for value in (CANARY, CANARY.encode()):
        held = strongroom.Secret(value)
        for shown in (repr(held), str(held), f"{held}", "%s %r" % (held, held), repr({"a": [held]}), repr(vars)):  # noqa: UP031
            assert leaks(shown) == []


def test_no_error_tells_the_value(secrets, home, heard):
    use(secrets)
    for number, call in enumerate(failing(secrets, home)):
        error = failure(call)
        assert error is not None, f"call {number} must fail"
        for where, told in told_by(error):
            assert leaks(told) == [], f"{where} of {type(error).__name__}: {type(error).__doc__}"
    assert leaks(heard()) == []
    assert files_with_it(home) == {str(home / "given.json"): leaks((home / "given.json").read_bytes())}


def failure(call) -> StrongroomError | None:
    try:
        call()
    except StrongroomError as error:
        return error
    return None


def failing(secrets, home):
    """Calls that are refused although they hold the value, or would return it."""
    (home / "given.json").write_text(f'{{"A": "{CANARY}"')
    old_key = strongroom.generate_master_key()
    return [
        lambda: secrets.set_secret("plain", CANARY, cas=77),
        lambda: secrets.set_secret("plain", CANARY, expires_in=-1),
        lambda: secrets.set_secret("plain", CANARY, max_versions=0),
        lambda: secrets.set_secret("plain", CANARY, custom={"a": 7}),
        lambda: secrets.set_secret("../plain", CANARY),
        lambda: secrets.set_secret("plain", CANARY + "\ud800"),
        lambda: secrets.set_secret("plain", {"a": CANARY, "b": object()}),
        lambda: secrets.set_secret("plain", {"a": CANARY, "b": float("nan")}),
        lambda: secrets.set_secret("plain", {"a": CANARY, "b": {1, CANARY}}),
        lambda: secrets.set_secret("plain", {7: CANARY}),
        lambda: secrets.set_secret("plain", [CANARY]),
        lambda: secrets.set_secret("plain", CANARY * 1_000_000),
        lambda: secrets.set_secrets({"x": CANARY, "..": CANARY}),
        lambda: secrets.set_secrets({"plain": CANARY}, overwrite=False),
        lambda: secrets.rotate_secret("missing", CANARY),
        lambda: secrets.rotate_secret("fields"),
        lambda: secrets.rotate_secret("plain", CANARY, cas=1),
        lambda: secrets.rollback("plain", 99),
        lambda: secrets.get_secret("fields"),
        lambda: secrets.bind("mallory").get_secret("plain"),
        lambda: secrets.bind("mallory").set_secret("plain", CANARY),
        lambda: exchange.parse((home / "given.json").read_bytes(), "json"),
        lambda: exchange.parse(f'["{CANARY}"]'.encode(), "json"),
        lambda: exchange.parse(f'{{"A": "{CANARY}", "A": "{CANARY}"}}'.encode(), "json"),
        lambda: exchange.parse(f"A='{CANARY}\nB=x".encode(), "dotenv"),
        lambda: exchange.parse(CANARY.replace("=", "").encode(), "dotenv"),
        lambda: exchange.parse(f"A={CANARY}\nA={CANARY}".encode(), "dotenv"),
        lambda: exchange.parse(f"A: [{CANARY}".encode(), "yaml"),
        lambda: exchange.parse(f"A: !!python/object {CANARY}".encode(), "yaml"),
        lambda: exchange.parse(f"- {CANARY}".encode(), "yaml"),
        lambda: fernet_json.read(CANARY.encode(), old_key),
        lambda: fernet_json.read(f'{{"A": "{CANARY}"}}'.encode(), old_key),
        lambda: tampered(secrets, "plain"),
        lambda: with_another_key(secrets),
        lambda: without_audit(secrets),
        lambda: without_store(secrets),
    ]  # fmt: skip


def tampered(secrets, name):
    store: Store = secrets._access.engine.store
    record = store.get(SECRET + name)
    assert record is not None
    with store.transaction() as tx:
        tx.put(SECRET + name, record[:-1] + bytes([record[-1] ^ 1]))
    try:
        secrets.get_secret(name)
    finally:
        with store.transaction() as tx:
            tx.put(SECRET + name, record)


def with_another_key(secrets):
    key, os.environ["SECRETS_MASTER_KEY"] = os.environ["SECRETS_MASTER_KEY"], strongroom.generate_master_key()
    try:
        strongroom.open(secrets._access.engine.store.url, audit=secrets._access.audit.sink)
    finally:
        os.environ["SECRETS_MASTER_KEY"] = key


def without_audit(secrets):
    sink = secrets._access.audit.sink

    def refuse(line: bytes) -> None:
        raise strongroom.AuditError("the disk is full")

    append, sink.append = sink.append, refuse
    try:
        secrets.get_secret("plain")
    finally:
        sink.append = append


def without_store(secrets):
    with strongroom.open(secrets._access.engine.store.url, audit="memory:") as other:
        other.close()
        other.set_secret("plain", CANARY)


def test_destroying_leaves_no_ciphertext_in_any_file(secrets, home):
    store: Store = secrets._access.engine.store
    for number in range(30):  # so that entries are moved between pages
        secrets.set_secret(f"filler/{number}", "x" * 200)
    secrets.set_secret("plain", CANARY)
    secrets.set_secret("plain", CANARY * 2)
    records = [store.get(SECRET + "plain"), store.get(version_path("plain", 1))]
    # The middle of each: its head is clear, and its ends may be shared with nothing.
    sealed = [record[-60:-10] for record in records if record is not None]
    assert len(sealed) == 2
    assert holders(home, sealed), "they are in the files before"
    secrets.delete_secret("plain")
    secrets.destroy_secret("plain", [1, 2])
    assert holders(home, sealed) == []
    secrets.close()
    assert holders(home, sealed) == []


def holders(home, sealed):
    from base64 import b64encode

    wanted = [form for part in sealed for form in (part, *(b64encode(b"\0" * n + part)[4:-4] for n in range(3)))]
    found = []
    for path in home.rglob("*"):
        with suppress(IsADirectoryError):
            content = path.read_bytes()
            found += [path.name for part in wanted if part in content]
    return found

"""docs/format.md is enough: a reader that was written from it reads every store and log, new ones and frozen ones."""

from __future__ import annotations

import ast
import json
import os
import re
import sqlite3
import struct
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import InvalidToken

import strongroom
from format_reader import log
from format_reader.primitives import aes_256_gcm, argon2id, hkdf
from format_reader.store import Store, open_store, value
from strongroom.audit.keys import export_keys
from strongroom.crypto.argon2 import Argon2Cost
from strongroom.key_providers.env import EnvKeyProvider
from strongroom.key_providers.passphrase import PassphraseProvider

ROOT = Path(__file__).parents[1]
READER = ROOT / "tests" / "format_reader"
VECTORS = ROOT / "tests" / "vectors"
PASSPHRASE = "korrekt Pferd Batterie Klammer ü"
LONG = "€" * 5_000


@pytest.fixture(params=["sqlite", "file"])
def kind(request):
    return request.param


@pytest.fixture(params=["aes-256-gcm", "fernet"])
def algorithm(request):
    return request.param


@pytest.fixture
def place(tmp_path, kind):
    return tmp_path / f"{kind}.store"


@pytest.fixture
def make(master_key, place, kind, tmp_path):
    """Make a store; return its manager, which is closed at the end."""
    made = []

    def make(key="env:SECRETS_MASTER_KEY", algorithm=None, **more):
        url, audit = f"{kind}:{place}", f"file:{tmp_path}/audit.log"
        made.append(strongroom.init(url, key, audit, algorithm=algorithm, **more))
        return made[-1]

    yield make
    for manager in made:
        manager.close()


def test_the_reader_knows_nothing_of_strongroom():
    for path in READER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "strongroom" for name in names), path


def test_every_kind_of_value_is_read(make, place, algorithm, master_key):
    values = {"text": LONG, "empty": "", "bytes": b"\0\xff", "shop/db": {"user": "ü", "port": 5, "on": None}}
    with make(algorithm=algorithm) as secrets:
        secrets.set_secrets(values)
        store = open_store(place, master_key=master_key)
    assert {name: value(store.secret(name).data[1]) for name in store.names()} == values
    assert {key.algorithm for key in store.keys.values() if key.purpose == "record"} == {algorithm}
    assert store.check_manifest() > 0


def test_versions_are_read_with_all_that_is_known_of_them(make, place, algorithm, master_key):
    with make(algorithm=algorithm, max_versions=4) as secrets:
        for number in range(1, 7):
            secrets.set_secret("A", f"value {number}", custom={"owner": "ops ü"})
        secrets.destroy_secret("A", [4])
        secrets.delete_secret("A", [3, 6])
        secrets.set_secret("gone", "x")
        secrets.destroy_secret("gone")
        secrets.set_secret("old", "expires", expires_in=1_000_000)
        history = secrets.history("A")
        store = open_store(place, master_key=master_key)
    secret = store.secret("A")
    assert (secret.current, secret.flags, secret.max_versions, secret.custom) == (6, 1, 4, {"owner": "ops ü"})
    assert {number: value(data) for number, data in secret.data.items()} == {
        3: "value 3", 5: "value 5", 6: "value 6",
    }  # fmt: skip
    rows = [[info.version, info.created, info.deleted, int(info.destroyed), info.expires] for info in history]
    assert secret.versions == rows
    gone, old = store.secret("gone"), store.secret("old")
    assert (gone.flags, gone.data) == (2, {1: b""})
    assert value(old.data[1]) == "expires"
    assert old.expiry == round(old.versions[0][4] * 1000) > 1_000_000_000
    store.check_manifest()


def test_a_store_is_read_after_each_change_of_keys(make, place, algorithm, master_key, monkeypatch):
    other = strongroom.generate_master_key()
    monkeypatch.setenv("OTHER_KEY", other)
    passphrase = PassphraseProvider(lambda: PASSPHRASE, Argon2Cost(64, 2, 2))
    with make(algorithm=algorithm) as secrets:
        secrets.set_secret("A", "first")
        added = secrets.custody.add_recipient(passphrase)
        secrets.custody.rekey_data("fernet" if algorithm == "aes-256-gcm" else "aes-256-gcm")
        secrets.set_secret("A", "second")
        for keys in ({"master_key": master_key}, {"passphrase": PASSPHRASE}):
            store = open_store(place, **keys)
            assert {number: value(data) for number, data in store.secret("A").data.items()} == {1: "first", 2: "second"}
            store.check_manifest()
        secrets.custody.rekey_master(EnvKeyProvider("OTHER_KEY"))
        store = open_store(place, master_key=other)
        assert value(store.secret("A").data[2]) == "second"
        with pytest.raises(ValueError, match="no recipient"):
            open_store(place, master_key=master_key)
    assert added
    log.read(place.parent / "audit.log", store.audit_keys())


def test_a_store_that_a_passphrase_alone_opens_is_read(make, place):
    with make(PassphraseProvider(lambda: PASSPHRASE, Argon2Cost(64, 1, 1))) as secrets:
        secrets.set_secret("A", "value")
        assert value(open_store(place, passphrase=PASSPHRASE).secret("A").data[1]) == "value"
        with pytest.raises(ValueError, match="no recipient"):
            open_store(place, passphrase=PASSPHRASE + "!")


def test_rotations_and_what_processes_report_are_read(make, place, master_key):
    with make() as secrets:
        secrets.set_secret("A", "first")
        secrets.rotation.attach("A", "generate:length=40", every=60, grace=5)
        handle = secrets.secret("A")
        secrets.rotation.rotate("A", wait=0)
        store, new = open_store(place, master_key=master_key), handle.value
    rotation = store.rotation("A")
    assert (rotation["url"], rotation["every"], rotation["grace"]) == ("generate:length=40", 60, 5)
    assert (rotation["step"], rotation["before"], rotation["after"]) in (("promoted", 1, 2), ("idle", 0, 0))
    assert value(store.secret("A").data[2]) == new
    for service, process, version, _ in store.consumers("A"):
        assert (service, process[2]) == (secrets._access.audit.service, os.getpid())
        assert version in (1, 2)


def test_a_log_of_several_segments_and_processes_is_verified(make, place, master_key, tmp_path, kind):
    with make(audit_max_bytes=4_000) as secrets:
        for number in range(12):
            secrets.set_secret(f"name/{number % 3}", str(number))
            with strongroom.open(f"{kind}:{place}", audit=f"file:{tmp_path}/audit.log", actor="a back\\slash") as other:
                assert other.get_secret(f"name/{number % 3}") == str(number)
        secrets.custody.rekey_master(EnvKeyProvider("SECRETS_MASTER_KEY"))
        store = open_store(place, master_key=master_key)
    path = tmp_path / "audit.log"
    events = log.read(path, store.audit_keys())
    assert len(log.segments(path)) > 2
    assert sum(event["action"] == "GET" for event in events) == 12
    (checkpoint,) = (stored for name, stored in store.entries.items() if name.startswith("audit/"))
    log.check_checkpoint(checkpoint, events, store.audit_keys())


def test_the_reader_notices_what_was_changed(make, place, master_key, tmp_path):
    with make() as secrets:
        secrets.set_secrets({"A": "value", "B": "value"})
        secrets.list_secrets()
        store = open_store(place, master_key=master_key)
    keys, path = store.audit_keys(), tmp_path / "audit.log"
    store.entries["secret/A"], store.entries["secret/B"] = store.entries["secret/B"], store.entries["secret/A"]
    with pytest.raises((InvalidTag, InvalidToken)):
        store.secret("A")
    with pytest.raises(AssertionError):
        store.check_manifest()
    lines = path.read_bytes().splitlines(keepends=True)
    log.read(path, keys)
    for changed in ([*lines[:2], *lines[3:]], [*lines[:2], lines[3], lines[2], *lines[4:]]):
        path.write_bytes(b"".join(changed))
        with pytest.raises(AssertionError):
            log.read(path, keys)


def test_the_audit_keys_that_an_auditor_gets_are_those_of_the_store(make, place, master_key):
    with make() as secrets:
        secrets.custody.rekey_data()
        document = json.loads(export_keys(secrets.custody.audit_keys()))
        keys = open_store(place, master_key=master_key).audit_keys()
    assert document == {"strongroom_audit_keys": 1, "keys": {str(key_id): key.hex() for key_id, key in keys.items()}}


def frozen(name: str) -> dict:
    return json.loads((VECTORS / f"{name}.json").read_text())


def vectors(file: dict, kind: str) -> list[dict]:
    return [vector for vector in file["vectors"] if (vector["kind"], vector["expect"]) == (kind, "ok")]


def test_frozen_stores_are_read(algorithm):
    records, locks = frozen(algorithm), frozen("locks")
    (header,), (keyset,) = vectors(locks, "header"), vectors(records, "keyset")
    fixed = {"system/header": bytes.fromhex(header["stored"]), "system/keyset": bytes.fromhex(keyset["stored"])}
    (old,) = vectors(records, "version")
    old_path = f"version/{old['name']}/{old['version']:010}"
    for head in vectors(records, "head"):
        entries = {f"secret/{head['name']}": bytes.fromhex(head["stored"]), old_path: bytes.fromhex(old["stored"])}
        master_key = urlsafe_b64encode(bytes.fromhex(header["master"])).decode()
        secret = Store(0, fixed | entries, master_key=master_key).secret(head["name"])
        assert secret.data == {
            head["info"][1]: bytes.fromhex(head["plaintext"]), old["version"]: bytes.fromhex(old["plaintext"]),
        }  # fmt: skip
        assert [secret.current, secret.versions, secret.custom, secret.max_versions] == head["info"][1:]


def test_a_frozen_passphrase_opens_its_root_key():
    locks = frozen("locks")
    (vector,) = vectors(locks, "passphrase")
    wrapped = bytes.fromhex(vector["stored"])
    memory, passes, lanes, salt = struct.unpack(">III16s", wrapped[2:30])
    derived = argon2id(vector["passphrase"].encode(), salt, memory, passes, lanes)
    place = b"strongroom/1\0" + bytes.fromhex(locks["store"]) + b"system/header\0root 1 recipient 1"
    root = aes_256_gcm(hkdf(derived, b"strongroom wrap"), wrapped[38:], wrapped[:38] + place)
    assert root.hex() == locks["root"]


def test_every_label_and_the_schema_are_in_the_document(make, place, kind):
    text = (ROOT / "docs" / "format.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "src" / "strongroom").rglob("*.py"))
    labels = set(re.findall(r'b"((?:strongroom|audit|manifest) [a-z ]+?) ?"', sources))
    assert {"strongroom wrap", "audit line", "manifest entry"} <= labels
    labels.discard("strongroom allow")  # a hash that only this machine's own record of permissions holds
    assert not [label for label in labels if f'"{label}' not in text]
    make()
    if kind == "sqlite":
        with closing(sqlite3.connect(place)) as database:
            schema = [row[0] for row in database.execute("SELECT sql FROM sqlite_schema")]
        assert [line.strip().rstrip(";") for line in text.splitlines() if "CREATE TABLE" in line] == schema

"""The frozen vectors of every format: what they hold, or the kind of failure that they must end in."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from strongroom.crypto.argon2 import Argon2Cost
from strongroom.errors import StrongroomError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.key_providers import master
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.records.context import context
from strongroom.records.data import decode_value
from strongroom.records.header import Header
from strongroom.records.keyset import Key, Keyset
from strongroom.records.manifest import Manifests
from strongroom.records.records import Records

COST = Argon2Cost(64, 2, 1)
"""The vectors are cheap; a provider takes nothing that is cheaper than what it makes itself."""

HERE = Path(__file__).parent / "vectors"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))}
RECORDS = [(name, vector) for name in ("aes-256-gcm", "fernet") for vector in FILES[name]["vectors"]]
LOCKS = FILES["locks"]["vectors"]


def keyset_of(file) -> Keyset:
    keys = next(vector["keys"] for vector in file["vectors"] if "keys" in vector)
    rows = {int(key_id): Key(int(key_id), *row[:3], 0.0, bytes.fromhex(row[3])) for key_id, row in keys.items()}
    return Keyset(rows)


def outcome(read, vector):
    """Return what `read` returns, or check the failure that the vector names and return None."""
    try:
        found, ended = read(), "ok"
    except StrongroomError as error:
        found, ended = None, error.code
    assert ended == vector["expect"], f"{vector['kind']}: {vector['title']}"
    return found


def title(item):
    return f"{item['kind']}-{item['title']}".replace(" ", "-") if isinstance(item, dict) else item


@pytest.mark.parametrize(("algorithm", "vector"), RECORDS, ids=title)
def test_a_record_reads_as_it_always_did(algorithm, vector):
    file, stored = FILES[algorithm], bytes.fromhex(vector["stored"])
    store, keyset = file["store"], keyset_of(file)
    records = Records(store, keyset)
    match vector["kind"]:
        case "keyset":
            found = outcome(
                lambda: Keyset.decrypt(stored, bytes.fromhex(vector["root"]), vector["number"], store), vector
            )
            assert found is None or [
                [str(key.id), key.purpose, key.algorithm, key.state, key.secret.hex()] for key in found.keys.values()
            ] == [[key_id, *row] for key_id, row in vector["keys"].items()]
        case "head":
            found = outcome(lambda: records.open_head(vector["name"], stored), vector)
            if found:
                assert found[3].hex() == vector["plaintext"]
                assert records.open_info(vector["name"], stored) == info_of(vector["info"])
        case "version":
            found = outcome(lambda: records.open_version(vector["name"], vector["version"], stored), vector)
            assert found is None or found.hex() == vector["plaintext"]
        case "manifest":
            manifests = Manifests(store, keyset)
            found = outcome(lambda: manifests.open(stored), vector)
            total = manifests.hash("a", b"1") + manifests.hash("b", b"2")
            assert found is None or found == (17, 2, total % 2**256, 34)


def info_of(row) -> SecretInfo:
    name, current, versions, custom, keep = row
    return SecretInfo(name, current, tuple(VersionInfo(*version) for version in versions), custom, keep)


class Master:
    """A key provider with a master key of the vectors."""

    url = "vector:"

    def __init__(self, key: str) -> None:
        self.key = bytes.fromhex(key)

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        return master.unwrap(self.key, wrapped, place, self.url)


@pytest.mark.parametrize("vector", LOCKS, ids=title)
def test_a_lock_opens_as_it_always_did(vector):
    file, stored = FILES["locks"], bytes.fromhex(vector["stored"])
    place = context(file["store"], "system/header", b"root 1 recipient 1")
    keys = [Master(vector["master"])] if "master" in vector else []
    keys += [PassphraseProvider(lambda: vector["passphrase"], COST)] if "passphrase" in vector else []
    if vector["kind"] == "header":
        header = outcome(lambda: Header.decode(stored), vector | ({"expect": "ok"} if keys else {}))
        if header:
            assert header.store == file["store"]
            assert [recipient.id for recipient in header.recipients] == vector["recipients"]
            # The passphrase's wrap was made for recipient 1, and stands at place 2: its key is right, its place is not.
            found = outcome(lambda: header.unwrap_root(keys[0]), vector)
            assert found is None or found[0].hex() == file["root"]
    else:
        found = outcome(lambda: keys[0].unwrap(stored, place), vector)
        assert found is None or found.hex() == file["root"]


def test_every_kind_of_failure_is_among_the_vectors():
    kinds = {(vector["kind"], vector["expect"]) for file in FILES.values() for vector in file["vectors"]}
    for kind in ("head", "version", "keyset", "manifest", "header", "master", "passphrase"):
        assert {(kind, "ok"), (kind, "tampered"), (kind, "newer_format")} <= kinds
    assert {("head", "unknown_key_id"), ("version", "unknown_key_id")} <= kinds
    assert {("master", "wrong_key"), ("passphrase", "wrong_key"), ("header", "wrong_key")} <= kinds


@pytest.mark.parametrize("algorithm", ["aes-256-gcm", "fernet"])
def test_the_values_are_those_that_were_given(algorithm):
    heads = [vector for vector in FILES[algorithm]["vectors"] if vector["kind"] == "head" and "plaintext" in vector]
    values = [decode_value(bytes.fromhex(vector["plaintext"])) for vector in heads]
    assert values == ["pässword 🔑", "", b"\x00\xff", {"user": "u", "port": 5432}]


def test_the_same_randomness_makes_the_same_bytes():
    spec = importlib.util.spec_from_file_location("vectors_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, content in module.make().items():
        assert content == (HERE / name).read_text(), f"{name} is written in another way than it was"

"""Opens a store: docs/format.md from "Store" to "Manifest"."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from base64 import b64decode, urlsafe_b64decode
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from .primitives import aes_256_gcm, argon2id, blake2b, decrypt, hkdf

Entries = dict[str, bytes]


class Key(NamedTuple):
    purpose: str
    algorithm: str
    state: str
    bytes: bytes


class Secret(NamedTuple):
    current: int
    flags: int
    expiry: int
    versions: list[list[Any]]
    """Rows of version, created, deleted, destroyed, expires."""
    custom: dict[str, str]
    max_versions: int
    data: dict[int, bytes]
    """Version → data with its kind, for each that has an entry."""


def read_entries(path: Path) -> tuple[int, Entries]:
    """Return revision and entries of a store of either kind."""
    if path.read_bytes()[:16] == b"SQLite format 3\0":
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA application_id").fetchone() == (0x53545247,)
            assert database.execute("PRAGMA user_version").fetchone() == (1,)
            schema = {row[0] for row in database.execute("SELECT sql FROM sqlite_schema")}
            assert schema == {
                "CREATE TABLE entries (path TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
                "CREATE TABLE store (revision INTEGER NOT NULL)",
            }
            ((revision,),) = database.execute("SELECT revision FROM store")
            return revision, dict(database.execute("SELECT path, value FROM entries"))
    document = json.loads(path.read_text("utf-8"))
    assert set(document) == {"format", "revision", "entries"}
    assert document["format"] == "strongroom-file/1"
    return document["revision"], {name: b64decode(text) for name, text in document["entries"].items()}


class Store:
    """An opened store. Raises when a master key does not open it, or anything fails authentication."""

    def __init__(
        self, revision: int, entries: Entries, *, master_key: str | None = None, passphrase: str | None = None
    ) -> None:
        self.revision, self.entries = revision, entries
        line, body = self.entries["system/header"].split(b"\n", 1)
        assert line == b"strongroom header 1 " + hashlib.sha256(body).hexdigest().encode()
        self.header = json.loads(body)
        self.id = bytes.fromhex(self.header["store"])
        self.keys = self._keyset(self._root(master_key, passphrase))

    def _context(self, path: str, extra: bytes) -> bytes:
        return b"strongroom/1\0" + self.id + path.encode() + b"\0" + extra

    def _root(self, master_key: str | None, passphrase: str | None) -> bytes:
        """Return the root key, from the recipient that this key is of."""
        for number, _, _, text in self.header["recipients"]:
            wrapped = b64decode(text)
            if wrapped[:1] == b"M" and master_key is not None:
                key, length = urlsafe_b64decode(master_key), 10
            elif wrapped[:1] == b"P" and passphrase is not None:
                memory, passes, lanes, salt = struct.unpack(">III16s", wrapped[2:30])
                key, length = argon2id(passphrase.encode(), salt, memory, passes, lanes), 38
            else:
                continue
            assert wrapped[1] == 1
            if wrapped[length - 8 : length] != hkdf(key, b"strongroom fingerprint")[:8]:
                continue
            place = self._context("system/header", b"root %d recipient %d" % (self.header["root"], number))
            return aes_256_gcm(hkdf(key, b"strongroom wrap"), wrapped[length:], wrapped[:length] + place)
        raise ValueError("no recipient has this key")

    def _keyset(self, root: bytes) -> dict[int, Key]:
        stored, number = self.entries["system/keyset"], self.header["root"]
        assert struct.unpack(">BI", stored[:5]) == (1, number)
        place = self._context("system/keyset", b"root %d" % number)
        rows = json.loads(aes_256_gcm(hkdf(root, b"strongroom keyset"), stored[5:], place))["keys"]
        return {key_id: Key(*words, b64decode(text)) for key_id, *words, _, text in rows}

    def _decrypt(self, key_id: int, sealed: bytes, path: str, extra: bytes) -> bytes:
        key = self.keys[key_id]
        assert key.purpose == "record"
        assert key.state in ("primary", "enabled")
        return decrypt(key.algorithm, key.bytes, sealed, self._context(path, extra))

    def _entry(self, path: str) -> bytes:
        """Return the data of an entry that has the form of a version."""
        stored = self.entries[path]
        assert stored[0] == 1
        return self._decrypt(int.from_bytes(stored[1:5], "big"), stored[5:], path, stored[:5])

    def names(self) -> list[str]:
        return [path.removeprefix("secret/") for path in self.entries if path.startswith("secret/")]

    def secret(self, name: str) -> Secret:
        path = f"secret/{name}"
        stored = self.entries[path]
        version, key_id, flags, current, expiry, length = struct.unpack(">BIBIQI", stored[:22])
        assert version == 1
        end = 22 + length
        metadata = json.loads(self._decrypt(key_id, stored[22:end], path, stored[:18]))
        data = {current: self._decrypt(key_id, stored[end:], path, stored[:end])}
        for number, *_ in metadata["v"]:
            if f"version/{name}/{number:010}" in self.entries:
                data[number] = self._entry(f"version/{name}/{number:010}")
        return Secret(current, flags, expiry, metadata["v"], metadata["c"], metadata["m"], data)

    def rotation(self, name: str) -> dict[str, Any]:
        return json.loads(self._entry(f"rotation/{name}"))

    def consumers(self, name: str) -> list[list[Any]]:
        prefix = f"consumer/{name}/"
        return [json.loads(self._entry(path)) for path in self.entries if path.startswith(prefix)]

    def audit_keys(self) -> dict[int, bytes]:
        return {key_id: key.bytes for key_id, key in self.keys.items() if key.purpose == "audit" and key.bytes}

    def check_manifest(self) -> int:
        """Fail unless all entries are those of the last commit; return the encryptions under the data key."""
        stored = self.entries["system/manifest"]
        key = self.keys[int.from_bytes(stored[1:5], "big")]
        assert (stored[0], key.purpose, key.state) == (1, "manifest", "primary")
        place = self._context("system/manifest", stored[:5])
        plain = aes_256_gcm(hkdf(key.bytes, b"strongroom manifest seal"), stored[5:], place)
        revision, count, encryptions, total = struct.unpack(">QQQ32s", plain)
        others = {path.encode(): value for path, value in self.entries.items() if path != "system/manifest"}
        hashes = [
            blake2b(256, key.bytes, b"manifest entry", len(path).to_bytes(2, "big") + path + value)
            for path, value in others.items()
        ]
        assert (revision, count) == (self.revision, len(others))
        assert sum(int.from_bytes(one, "big") for one in hashes) % 2**256 == int.from_bytes(total, "big")
        return encryptions


def open_store(path: Path, **keys: str) -> Store:
    """Open the store at `path` with its `master_key` or a `passphrase`."""
    return Store(*read_entries(path), **keys)


def value(data: bytes) -> Any:
    """Return the text, the bytes or the fields."""
    return {b"s": bytes.decode, b"b": bytes, b"m": json.loads}[data[:1]](data[1:])

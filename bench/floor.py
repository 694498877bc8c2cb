"""The least that reading and writing a secret on record can cost: no checks, no versions, no chain, no locks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_EVENT = b"{" + b"x" * 297 + b"}\n"
"""As long as an audit event, 300 bytes."""
_TABLE = "CREATE TABLE entries (path TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
_GET = "SELECT value FROM entries WHERE path = ?"
_SET = "INSERT INTO entries VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET value = excluded.value"
# Those of strongroom's own store that change what a read or a commit costs.
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA cell_size_check=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=0",
)


class Floor:
    """One prepared statement, one AES-256-GCM call, one `write(2)` of 300 bytes to an append-only file."""

    label = "floor"
    keeps = "bare SQLite, AES-256-GCM and `write`"

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        key = AESGCM.generate_key(bit_length=256)
        with open(os.path.join(place, "key"), "wb") as file:
            file.write(key)
        connection = _connect(place)
        connection.execute(_TABLE)
        connection.execute("BEGIN")
        connection.executemany(_SET, ((name, _encrypt(AESGCM(key), name, value)) for name, value in values.items()))
        connection.execute("COMMIT")
        connection.close()

    def reader(self, place: str) -> Callable[[str], str | None]:
        execute, decrypt, log = _connect(place).execute, _cipher(place).decrypt, _log(place)

        def get(name: str) -> str:
            stored = execute(_GET, (name,)).fetchone()[0]
            value = decrypt(stored[:_NONCE], stored[_NONCE:], name.encode())
            os.write(log, _EVENT)
            return value.decode()

        return get

    def writer(self, place: str) -> Callable[[str, str], object]:
        execute, cipher, log = _connect(place).execute, _cipher(place), _log(place)

        def set_(name: str, value: str) -> None:
            stored = _encrypt(cipher, name, value)
            execute("BEGIN IMMEDIATE")
            execute(_SET, (name, stored))
            execute("COMMIT")
            os.write(log, _EVENT)

        return set_


def _connect(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(os.path.join(place, "floor.db"), isolation_level=None)
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def _cipher(place: str) -> AESGCM:
    with open(os.path.join(place, "key"), "rb") as file:
        return AESGCM(file.read())


def _log(place: str) -> int:
    return os.open(os.path.join(place, "audit.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _encrypt(cipher: AESGCM, name: str, value: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, value.encode(), name.encode())

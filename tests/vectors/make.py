"""Makes the frozen vectors from fixed randomness: `python tests/vectors/make.py` writes them beside this file.

They were made once. A release that makes other bytes, or that cannot read these, has changed a format.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any
from unittest import mock

from strongroom.crypto.argon2 import Argon2Cost
from strongroom.info import SecretInfo, VersionInfo
from strongroom.key_providers import master as lock
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.records.context import context
from strongroom.records.data import encode
from strongroom.records.header import Header, Recipient
from strongroom.records.keyset import RECORD, Keyset
from strongroom.records.manifest import Manifest, Manifests
from strongroom.records.records import Records

HERE = Path(__file__).parent
STORE, NOW = "00112233445566778899aabbccddeeff", 1_767_225_600.125
MASTER, ROOT = bytes(range(32)), bytes(range(100, 132))
PHRASE, COST = "correct horse battery staple", Argon2Cost(64, 2, 1)
SEAMS = (
    "strongroom.crypto.aes_gcm.urandom",
    "strongroom.records.keyset.urandom",
    "strongroom.key_providers.passphrase.os.urandom",
    "cryptography.fernet.os.urandom",
)
INFO = SecretInfo(
    "shop/dätabase",
    3,
    (VersionInfo(2, NOW), VersionInfo(3, NOW + 1, expires=NOW + 3600)),
    {"owner": "ops"},
    10,
)
VALUES: dict[str, Any] = {
    "text": "pässword 🔑",
    "empty": "",
    "bytes": b"\x00\xff",
    "fields": {"user": "u", "port": 5432},
}


@contextmanager
def fixed_randomness() -> Iterator[None]:
    """Replace every source of randomness and the clock of Fernet tokens."""
    count = 0

    def urandom(size: int) -> bytes:
        nonlocal count
        count += 1
        return blake2b(b"vector %d" % count, digest_size=size).digest()

    with ExitStack() as stack:
        for seam in SEAMS:
            stack.enter_context(mock.patch(seam, urandom))
        stack.enter_context(mock.patch("cryptography.fernet.time.time", return_value=NOW))
        yield


def vector(title: str, kind: str, stored: bytes, expect: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "kind": kind, "expect": expect, **more, "stored": stored.hex()}


def failures(kind: str, good: bytes, key_at: int | None = None, **more: Any) -> Iterator[dict[str, Any]]:
    """Make the ways in which what is stored can be wrong."""
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    yield vector("the last bit is flipped", kind, flipped, "tampered", **more)
    yield vector("the last byte is missing", kind, good[:-1], "tampered", **more)
    yield vector("nothing is left", kind, b"", "tampered", **more)
    yield vector("format 2", kind, b"\x02" + good[1:], "newer_format", **more)
    if key_at is not None:
        unknown = good[:key_at] + struct.pack(">I", 250) + good[key_at + 4 :]
        yield vector("a key that is not in the keyset", kind, unknown, "unknown_key_id", **more)


def of_records(algorithm: str) -> Iterator[dict[str, Any]]:
    keyset = Keyset.generate("aes-256-gcm" if algorithm == "fernet" else "fernet", NOW)
    keyset = keyset.with_new(RECORD, algorithm, NOW + 1)
    sealed = keyset.encrypt(ROOT, 1, STORE)
    keys = {str(key.id): [key.purpose, key.algorithm, key.state, key.secret.hex()] for key in keyset.keys.values()}
    yield vector("a keyset", "keyset", sealed, "ok", root=ROOT.hex(), number=1, keys=keys)
    yield vector("another root key", "keyset", sealed, "tampered", root=MASTER.hex(), number=1)
    yield vector("another number of the root key", "keyset", sealed, "tampered", root=ROOT.hex(), number=2)
    yield from failures("keyset", sealed, root=ROOT.hex(), number=1)
    records = Records(STORE, keyset)
    for what, value in VALUES.items():
        head = records.seal_head(INFO, encode(value))
        yield vector(f"a head: {what}", "head", head, "ok", name=INFO.name, plaintext=encode(value).hex(), info=INFO)
    yield vector("the head of another name", "head", head, "tampered", name="shop/database")
    yield vector("another flag", "head", head[:5] + b"\x01" + head[6:], "tampered", name=INFO.name)
    yield from failures("head", head, 1, name=INFO.name)
    version = records.seal_version(INFO.name, 2, encode(VALUES["text"]))
    plain = encode(VALUES["text"]).hex()
    yield vector("a version", "version", version, "ok", name=INFO.name, version=2, plaintext=plain)
    yield vector("the version of another name", "version", version, "tampered", name="shop/database", version=2)
    yield vector("another number", "version", version, "tampered", name=INFO.name, version=1)
    yield from failures("version", version, 1, name=INFO.name, version=2)
    manifests = Manifests(STORE, keyset)
    manifest = Manifest(17, 2, manifests.hash("a", b"1") + manifests.hash("b", b"2"), 34)
    yield vector("a manifest of a=1, b=2", "manifest", manifests.seal(manifest), "ok", revision=17, entries=2, uses=34)
    yield from failures("manifest", manifests.seal(manifest))


def of_locks() -> Iterator[dict[str, Any]]:
    place = context(STORE, "system/header", b"root 1 recipient 1")
    master = {"master": MASTER.hex()}
    wrapped = lock.wrap(MASTER, ROOT, place)
    yield vector("a root key under a master key", "master", wrapped, "ok", **master)
    yield vector("another master key", "master", wrapped, "wrong_key", master=ROOT.hex())
    yield vector("the last bit is flipped", "master", wrapped[:-1] + bytes([wrapped[-1] ^ 1]), "tampered", **master)
    yield vector("another place", "master", lock.wrap(MASTER, ROOT, place + b"0"), "tampered", **master)
    yield vector("format 2", "master", b"M\x02" + wrapped[2:], "newer_format", **master)
    sealed = PassphraseProvider(lambda: PHRASE, COST).wrap(ROOT, place)
    phrase = {"passphrase": PHRASE}
    yield vector("a root key under a passphrase", "passphrase", sealed, "ok", **phrase)
    yield vector("another passphrase", "passphrase", sealed, "wrong_key", passphrase="incorrect horse battery")
    yield vector("the last bit is flipped", "passphrase", sealed[:-1] + bytes([sealed[-1] ^ 1]), "tampered", **phrase)
    yield vector("a cost above the ceiling", "passphrase", sealed[:2] + b"\xff" * 4 + sealed[6:], "tampered", **phrase)
    yield vector("format 2", "passphrase", b"P\x02" + sealed[2:], "newer_format", **phrase)
    yield vector("a Fernet wrap", "passphrase", wrapped, "wrong_key", **phrase)
    rows = (Recipient(1, "env:SECRETS_MASTER_KEY", NOW, wrapped), Recipient(2, "passphrase:", NOW + 1, sealed))
    header = Header(STORE, NOW, 1, rows).encode()
    newer = b"strongroom header 2" + header[19:]
    spelt = header.partition(b"\n")[2].replace(STORE.encode(), STORE.upper().encode())
    forged = b"strongroom header 1 " + sha256(spelt).hexdigest().encode() + b"\n" + spelt
    yield vector("a header", "header", header, "ok", recipients=[1, 2], **master, **phrase)
    yield vector("no key of the header", "header", header, "wrong_key", recipients=[1, 2], master=ROOT.hex())
    yield vector("the last byte is missing", "header", header[:-1], "tampered")
    yield vector("nothing is left", "header", b"", "tampered")
    yield vector("the store's id in other letters", "header", forged, "tampered")
    yield vector("format 2", "header", newer, "newer_format")


def make() -> dict[str, str]:
    """Return the text of each file of vectors."""

    def text(vectors: Callable[[], Iterator[dict[str, Any]]], **more: Any) -> str:
        with fixed_randomness():
            return json.dumps({"store": STORE, **more, "vectors": list(vectors())}, indent=1) + "\n"

    records = {f"{name}.json": text(lambda name=name: of_records(name)) for name in ("aes-256-gcm", "fernet")}
    return records | {"locks.json": text(of_locks, root=ROOT.hex())}


if __name__ == "__main__":
    for name, content in make().items():
        (HERE / name).write_text(content)

"""The documented format is enough: a store is opened here without a line of strongroom's own code."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from base64 import b64decode, urlsafe_b64decode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf(key: bytes, info: bytes) -> bytes:
    extracted = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def fernet(key: bytes, token: bytes) -> bytes:
    body, mac = token[:-32], token[-32:]
    assert token[0] == 0x80
    assert hmac.compare_digest(hmac.digest(key[:16], body, hashlib.sha256), mac)
    decryptor = Cipher(algorithms.AES(key[16:]), modes.CBC(body[9:25])).decryptor()
    padded = decryptor.update(body[25:]) + decryptor.finalize()
    return padded[: -padded[-1]]


def gcm(key: bytes, sealed: bytes, context: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], context)


class Opened:
    """A store in a file, from the master key down to its values."""

    def __init__(self, path, master: str) -> None:
        document = json.loads(path.read_text())
        assert document["format"] == "strongroom-file/1"
        self.entries = {name: b64decode(text) for name, text in document["entries"].items()}
        self.keys = self.read_keyset(urlsafe_b64decode(master))

    def context(self, path: str, extra: bytes) -> bytes:
        return b"strongroom/1\0" + self.store + path.encode() + b"\0" + extra

    def read_keyset(self, master: bytes) -> dict[int, tuple[str, bytes]]:
        line, _, body = self.entries["system/header"].partition(b"\n")
        assert line == b"strongroom header 1 " + hashlib.sha256(body).hexdigest().encode()
        header = json.loads(body)
        self.store = bytes.fromhex(header["store"])
        number, _, _, wrapped = header["recipients"][0]
        wrapped = b64decode(wrapped)
        assert wrapped[:10] == b"M\x01" + hkdf(master, b"strongroom fingerprint")[:8]
        place = self.context("system/header", b"root %d recipient %d" % (header["root"], number))
        root = gcm(hkdf(master, b"strongroom wrap"), wrapped[10:], wrapped[:10] + place)
        sealed = self.entries["system/keyset"]
        assert struct.unpack(">BI", sealed[:5]) == (1, header["root"])
        place = self.context("system/keyset", b"root %d" % header["root"])
        rows = json.loads(gcm(hkdf(root, b"strongroom keyset"), sealed[5:], place))["keys"]
        return {row[0]: (row[2], b64decode(row[5])) for row in rows}

    def decrypt(self, key: int, sealed: bytes, context: bytes) -> bytes:
        algorithm, secret = self.keys[key]
        return fernet(hkdf(secret, context), sealed) if algorithm == "fernet" else gcm(secret, sealed, context)

    def head(self, name: str) -> tuple[dict, bytes]:
        stored = self.entries[f"secret/{name}"]
        key, length = struct.unpack(">I", stored[1:5])[0], struct.unpack(">I", stored[18:22])[0]
        metadata = self.decrypt(key, stored[22 : 22 + length], self.context(f"secret/{name}", stored[:18]))
        data = self.decrypt(key, stored[22 + length :], self.context(f"secret/{name}", stored[: 22 + length]))
        return json.loads(metadata), data

    def version(self, name: str, number: int) -> bytes:
        path = f"version/{name}/{number:010d}"
        stored = self.entries[path]
        key = struct.unpack(">I", stored[1:5])[0]
        return self.decrypt(key, stored[5:], self.context(path, stored[:5]))

    def manifest(self) -> tuple[int, int, int]:
        stored = self.entries["system/manifest"]
        key = self.keys[struct.unpack(">I", stored[1:5])[0]][1]
        plain = gcm(hkdf(key, b"strongroom manifest seal"), stored[5:], self.context("system/manifest", stored[:5]))
        revision, count, _, total = struct.unpack(">QQQ32s", plain)
        others = [(path.encode(), value) for path, value in self.entries.items() if path != "system/manifest"]
        found = 0
        for path, value in others:
            framed = len(path).to_bytes(2, "big") + path + value
            found += int.from_bytes(
                hashlib.blake2b(framed, key=key, person=b"manifest entry", digest_size=32).digest(), "big"
            )
        assert found % 2**256 == int.from_bytes(total, "big")
        return revision, count, len(others)


def test_a_file_store_is_opened_with_primitives_only(make_manager, master_key, tmp_path):
    manager = make_manager("file")
    manager.set_secret("shop/db", "first")
    manager.set_secret("shop/db", "sécond", custom={"owner": "ops"})
    manager.set_secret("fields", {"user": "u"})
    opened = Opened(tmp_path / "store-0", master_key)
    assert {algorithm for algorithm, _ in opened.keys.values()} == {"fernet", "aes-256-gcm"}
    metadata, data = opened.head("shop/db")
    assert data == "ssécond".encode()
    assert metadata["c"] == {"owner": "ops"}
    assert [row[0] for row in metadata["v"]] == [1, 2]
    assert opened.version("shop/db", 1) == b"sfirst"
    assert opened.head("fields")[1] == b'm{"user":"u"}'
    revision, count, there = opened.manifest()
    assert count == there
    assert revision == manager._access.engine.store.revision()


def test_the_other_algorithm_is_opened_too(make_manager, master_key, tmp_path):
    manager = make_manager("file", algorithm="aes-256-gcm")
    manager.set_secret("A", b"\0\1")
    assert Opened(tmp_path / "store-0", master_key).head("A")[1] == b"b\0\1"

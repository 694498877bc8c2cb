"""`keyring` with the encrypted file of keyrings.alt, the back end for machines without a desktop."""

from __future__ import annotations

import base64
import configparser
import os
from collections.abc import Callable, Mapping
from functools import partial

import Crypto.Cipher  # noqa: F401 (says that pycryptodome is missing before keyring fails on it)
from keyrings.alt.escape import escape  # type: ignore[import-untyped,unused-ignore]
from keyrings.alt.file import EncryptedKeyring as FileKeyring  # type: ignore[import-untyped,unused-ignore]

_SERVICE = "bench"


class EncryptedKeyring:
    label = "keyring, encrypted file"
    keeps = "encrypted, no record"

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        # Through its API each secret would write the whole file anew.
        keyring = _open(place)
        config = configparser.RawConfigParser()
        config.add_section(escape(_SERVICE))
        for name, value in values.items():
            encrypted = base64.encodebytes(keyring.encrypt(value.encode())).decode()
            config.set(escape(_SERVICE), escape(name), f"\n{encrypted}")
        with open(keyring.file_path, "w") as file:
            config.write(file)

    def reader(self, place: str) -> Callable[[str], str | None]:
        return partial(_open(place).get_password, _SERVICE)

    def writer(self, place: str) -> Callable[[str, str], object]:
        return partial(_open(place).set_password, _SERVICE)


def _open(place: str) -> FileKeyring:
    keyring = FileKeyring()
    keyring.file_path = os.path.join(place, keyring.filename)
    keyring.keyring_key = "a pass phrase"
    return keyring

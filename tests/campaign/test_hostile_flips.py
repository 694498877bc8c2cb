"""Every entry of a store, one byte changed at a time: never a wrong value, always a clear error."""

from __future__ import annotations

import random

import pytest

from strongroom.keyset import ALGORITHMS
from strongroom.model import AUDIT, HEADER, KEYSET, MANIFEST

from . import KINDS, LONG
from .hostile import LyingStore, contents, judge, make, opener

BITS = range(8) if LONG else (None,)
"""Each bit of a byte in turn, or one at random."""


def flipped(content: bytes, position: int, bit: int | None) -> bytes:
    mask = 1 << (random.Random(position).randrange(8) if bit is None else bit)
    return content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "entry",
    ["secret/alpha", "secret/service/gamma", "version/alpha/0000000002", "version/beta/0000000001", HEADER, KEYSET,
     MANIFEST, AUDIT],
)  # fmt: skip
def test_no_byte_of_an_entry_changes_unseen(kind, algorithm, entry, place, master_key):
    held, revision = contents(make(kind, algorithm, place))
    assert judge(opener(LyingStore(held, revision))) == set()
    path = next(path for path in held if path.startswith(entry))
    for position in range(len(held[path])):
        for bit in BITS:
            lie = {**held, path: flipped(held[path], position, bit)}
            assert judge(opener(LyingStore(lie, revision))), f"byte {position} of {path}, bit {bit}: nobody noticed"

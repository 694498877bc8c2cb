"""Every entry of a store, one byte changed at a time: never a wrong value, always a clear error."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import strongroom
from strongroom.manager.manager import SecretsManager
from strongroom.model import AUDIT, HEADER, KEYSET, MANIFEST
from strongroom.records.keyset import ALGORITHMS

from . import KINDS, LONG, size
from .hostile import LyingStore, contents, judge, make, opener

SAMPLE = 400
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


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_byte_of_the_json_file_gives_a_wrong_value(algorithm, place, master_key):
    url = make("file", algorithm, place)
    content = (place / "store").read_bytes()
    audit = Audit(place)
    for position in range(0, len(content), size(7, 1)):
        for bit in BITS:
            (place / "store").write_bytes(flipped(content, position, bit))
            judged(opener(url, audit.again()), f"byte {position}, bit {bit}")


@pytest.mark.parametrize("journal", ["at rest", "-wal"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_byte_of_a_sqlite_page_gives_a_wrong_value(algorithm, journal, place, master_key):
    make("sqlite", algorithm, place)
    files = at_rest(place) if journal == "at rest" else in_use(place)
    audit = Audit(place)
    chance = random.Random(algorithm + journal)
    places = [(name, position) for name, content in files.items() for position in range(len(content))]
    for number, (name, position) in enumerate(places if LONG else chance.sample(places, SAMPLE)):
        directory = place / str(number % 2)  # a new one each time, so that nothing is left of the one before
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for file, content in files.items():
            damaged = flipped(content, position, None) if file == name else content
            (directory / file).write_bytes(damaged)
        judged(opener(f"sqlite:{directory}/store", audit.again()), f"byte {position} of {name}")


class Audit:
    """The audit log as it was after the last write; a store that fell back behind it is refused."""

    def __init__(self, place: Path) -> None:
        self._path = place / "audit.log"
        self._content = self._path.read_bytes()

    def again(self) -> str:
        self._path.write_bytes(self._content)
        return f"file:{self._path}"


def judged(open_store: Callable[[], SecretsManager], what: str) -> None:
    try:
        judge(open_store)
    except BaseException as error:
        error.add_note(f"with another {what}")
        raise


def at_rest(place: Path) -> dict[str, bytes]:
    assert not (place / "store-wal").exists()
    return {"store": (place / "store").read_bytes()}


def in_use(place: Path) -> dict[str, bytes]:
    """Return the files as a process that was killed leaves them: the newest commits are in the -wal file only."""
    with closing(sqlite3.connect(place / "store")) as reader:
        reader.execute("SELECT * FROM store").fetchall()
        with strongroom.open(f"sqlite:{place}/store", audit=f"file:{place}/audit.log") as secrets:
            secrets.delete_secret("alpha")
            secrets.undelete_secret("alpha")
        files = {name: (place / name).read_bytes() for name in ("store", "store-wal")}
    assert len(files["store-wal"]) > 4096
    return files

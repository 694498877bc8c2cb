"""The files of a ring: what they say, as docs/format.md describes it, whose they are, and how they come and go."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import struct
import time
from pathlib import Path

import pytest

from strongroom.audit.ring import Ring
from strongroom.audit.ring_file import PAGE, RECORD, RingFile, place_of

from .conftest import CAPACITY, KEYS, STORE
from .rings import events, file_of, files, put


def token_of(first: bytes, line: bytes) -> int:
    ring_key = hashlib.blake2b(first, key=KEYS[1], person=b"audit ring", digest_size=32).digest()
    mac = hashlib.blake2b(line, key=ring_key, person=b"audit read", digest_size=16).digest()
    return int.from_bytes(mac[:8], "little")


def counted(records: int) -> int:
    return (0xFFFF_FFFF - records) * 2**32 + records


def test_what_a_ring_holds_is_read_with_primitives_only(ring, sink, log):
    put(ring, CAPACITY)
    ring.drain()
    put(ring, 3)
    put(ring, 2, "other", 7)
    path = file_of(sink, "names")
    assert re.fullmatch("[0-9a-f]{16}", path.stem)
    first, *lines = path.read_bytes().splitlines()
    owner = {"strongroom_ring": 1, "ring": path.stem, "key": 1, **log.process()}
    assert first == json.dumps(owner, separators=(",", ":")).encode()
    assert owner["store"] == STORE
    assert lines == [b'{"actor":"alice","name":"name","version":1}', b'{"actor":"alice","name":"other","version":7}']
    stored = file_of(sink, "ring").read_bytes()
    numbers = (CAPACITY, 1 + 2 * CAPACITY, counted(0), 1 + CAPACITY, counted(0))
    assert stored[:48] == b"strring\1" + struct.pack("=5Q", *numbers)
    records = struct.iter_unpack("=QQ", stored[2 * PAGE : 2 * PAGE + 5 * 16])
    tokens = [time ^ masked for time, masked in records]
    assert tokens == [token_of(first, lines[0])] * 3 + [token_of(first, lines[1])] * 2
    assert not any(stored[PAGE : 2 * PAGE] + stored[2 * PAGE + 5 * 16 :])


def test_a_ring_that_was_written_with_primitives_only_is_drained(sink, start):
    base = Path(sink.rings) / ("0123456789abcdef")
    base.parent.mkdir()
    process = {"service": "shop", "pid": 7, "host": "elsewhere", "source": "s", "store": STORE}
    first = json.dumps({"strongroom_ring": 1, "ring": base.name, "key": 1, **process}).encode()
    line, now = b'{"actor":"bob","name":"n","version":3}', 1_700_000_000_123_456_789
    base.with_suffix(".names").write_bytes(first + b"\n" + line + b"\n")
    counters = b"strring\1" + struct.pack("=8Q", CAPACITY, 1, counted(0), 1 + CAPACITY, counted(0), 0, 0, 0)
    record = struct.pack("=QQ", now, now ^ token_of(first, line))
    base.with_suffix(".ring").write_bytes((counters.ljust(PAGE, b"\0") + record).ljust(3 * PAGE, b"\0"))
    start(sink).collect()
    (event,) = events(sink)
    assert {field: event[field] for field in process} == process
    assert (event["actor"], event["name"], event["version"], event["ts"]) == (
        "bob", "n", 3, "2023-11-14T22:13:20.123456Z"
    )  # fmt: skip
    assert event["ring"] == "0123456789abcdef-1"
    assert files(sink) == []


def test_an_event_of_damage_bears_the_number_of_the_last_record_of_its_run(ring, sink):
    put(ring, 1)
    now = time.time_ns()
    for _ in range(2):
        ring.write(RECORD.pack(now, 1))
    put(ring, 1)
    ring.write(RECORD.pack(now, 1))
    ring.drain()
    told = [(event["outcome"], event.get("count"), int(event["ring"].partition("-")[2])) for event in events(sink)]
    assert told == [("ok", None, 1), ("failed", 2, 3), ("ok", None, 4), ("failed", 1, 5)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes directories that are another user's")
def test_the_directory_of_rings_belongs_to_whom_the_one_above_belongs(log, sink):
    above = os.path.dirname(sink.rings)
    os.chown(above, 12345, 12346)
    Ring(log, sink.rings, CAPACITY).close()
    made = os.stat(sink.rings)
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (12345, 12346, 0o700)


def test_a_ring_is_a_file_of_whole_pages_with_two_halves(ring):
    assert os.fstat(ring._file.records).st_size == place_of(2, CAPACITY)
    assert [place_of(half, CAPACITY) // PAGE for half in (0, 1, 2)] == [1, 2, 3]
    assert [place_of(half, 2 * PAGE // RECORD.size) // PAGE for half in (0, 1, 2)] == [1, 3, 5]
    assert [place_of(half, 2 * PAGE // RECORD.size + 1) // PAGE for half in (0, 1, 2)] == [1, 4, 7]


def test_the_files_are_private_whatever_the_process_allows(log, sink):
    before = os.umask(0)
    try:
        ring = Ring(log, sink.rings, CAPACITY)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in Path(sink.rings).iterdir()} == {0o600}
    assert Path(sink.rings).stat().st_mode & 0o777 == 0o700
    ring.close()


def test_who_may_not_give_the_directory_away_makes_a_ring_all_the_same(log, sink, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse)
    Ring(log, sink.rings, CAPACITY).close()


@pytest.mark.parametrize("ending", ["names.new", "ring"])
def test_a_file_that_somebody_has_put_in_the_way_is_not_written_to(ring, log, sink, tmp_path, monkeypatch, ending):
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    (Path(sink.rings) / f"{(b'8' * 8).hex()}.{ending}").symlink_to(theirs)
    monkeypatch.setattr(os, "urandom", lambda count: b"8" * count)
    with pytest.raises(FileExistsError):
        Ring(log, sink.rings, CAPACITY)
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.parametrize("call", ["posix_fallocate", "write"])
def test_a_ring_that_there_is_no_room_for_leaves_nothing(log, sink, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        # A short write is how a disk tells that it became full on the way.
        patch.setattr(os, call, fail if call == "posix_fallocate" else lambda *_: 1)
        with pytest.raises(OSError, match=r"(?i)no (space|room)") as caught:
            Ring(log, sink.rings, CAPACITY)
    assert caught.value.errno == errno.ENOSPC
    assert files(sink) == []


def test_a_ring_that_cannot_be_finished_closes_nothing_that_is_not_its_own(log, sink, monkeypatch):
    def refuse(path, *more):
        if str(path).endswith(".ring"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return open_file(path, *more)

    open_file = os.open
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="open files"):
            Ring(log, sink.rings, CAPACITY)
    assert files(sink) == []
    assert os.fstat(1), "standard output was closed with it"


def test_closing_twice_closes_nothing_that_is_not_its_own(ring):
    file = RingFile.open(ring._file.base)
    file.close()
    file.close()
    assert os.fstat(1), "standard output was closed with it"

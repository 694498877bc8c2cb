"""Accidents that are no attacks: afterwards the log verifies, or says what is missing, and goes on."""

from __future__ import annotations

import errno
import mmap  # noqa: F401  (loaded by the log, which without a free descriptor it could not)
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

import strongroom
from strongroom.audit.log import AuditLog
from strongroom.audit.verify import verify
from strongroom.audit_sinks.file import FileSink
from strongroom.caller import Caller
from strongroom.errors import AuditError

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def writer(sink: FileSink, **more) -> AuditLog:
    return AuditLog(sink, KEYS, store=STORE, actor="alice", service="shop", **more)


# Power loss


class Disk:
    """What of the log is on the disk: the bytes that each of its files had at its last flush."""

    def __init__(self, monkeypatch) -> None:
        self.sizes: dict[int, int] = {}
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self.flushing(getattr(os, name)))

    def flushing(self, real):
        def flush(descriptor: int) -> None:
            found = os.fstat(descriptor)
            self.sizes[found.st_ino] = found.st_size
            real(descriptor)

        return flush

    def lose_power(self, folder, torn: int = 0) -> None:
        """Let nothing be left that was not flushed, but `torn` bytes."""
        for path in folder.glob("audit.log*"):
            found = path.stat()
            os.truncate(path, min(self.sizes.get(found.st_ino, 0) + torn, found.st_size))


@pytest.mark.parametrize("torn", [0, 1, 100])
@pytest.mark.parametrize("max_bytes", [64 * 2**20, 4000, 1500])
def test_after_a_power_loss_the_log_has_what_the_store_says_that_it_has(
    tmp_path, master_key, monkeypatch, torn, max_bytes
):
    store, audit = f"sqlite:{tmp_path}/store.db", f"file:{tmp_path}/audit.log"
    disk = Disk(monkeypatch)
    with strongroom.init(store, audit=audit, audit_max_bytes=max_bytes) as secrets:
        other = strongroom.open(store, audit=audit, audit_max_bytes=max_bytes)
        for number in range(8):
            secrets.set_secret("A", str(number))
            assert other.get_secret("A") == str(number)
        secrets.get_secret("A")
        disk.lose_power(tmp_path, torn)
    other.close()
    with strongroom.open(store, audit=audit) as secrets:
        assert secrets.get_secret("A") == "7"
        report = secrets.verify_audit()
        assert report.problems == ()
        assert all("a torn line, from a crash" in note.message for note in report.notes)
        secrets.set_secret("A", "8")
        assert secrets.verify_audit().problems == ()


@pytest.mark.parametrize("zeros", [0, 100, 70_000])
@pytest.mark.parametrize("torn", [0, 1, 8, 20, 40, 61, 62])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_header_that_was_torn_off_stops_no_process(tmp_path, master_key, is_first, torn, zeros):
    store, log = f"sqlite:{tmp_path}/store.db", tmp_path / "audit.log"
    made_with = tmp_path / "first.log" if is_first else log
    with strongroom.init(store, audit=f"file:{made_with}") as secrets:
        secrets.set_secret("A", "1")
    header = made_with.read_bytes().splitlines(keepends=True)[0].replace(b'"segment":1', b'"segment":2')
    if not is_first:
        log.rename(f"{log}.000001")
    log.write_bytes(header[:torn] + bytes(zeros))
    for value in "23":
        with strongroom.open(store, audit=f"file:{log}") as secrets:
            secrets.set_secret("A", value)
            assert secrets.verify_audit().problems == ()
            assert len(secrets.get_audit_logs(None, action="SET")) == int(value) - is_first


@pytest.mark.parametrize("zeros", [1, 4096, 70_000, 2**20])
@pytest.mark.parametrize("lost", [1, 30, 200])
def test_an_event_that_was_torn_off_before_any_number_of_zeros_is_a_note(tmp_path, master_key, lost, zeros):
    store, log = f"sqlite:{tmp_path}/store.db", tmp_path / "audit.log"
    with strongroom.init(store, audit=f"file:{log}") as secrets:
        secrets.set_secret("A", "1")
        secrets.get_secret("A")
    log.write_bytes(log.read_bytes()[:-lost] + bytes(zeros))
    for value in "23":
        with strongroom.open(store, audit=f"file:{log}") as secrets:
            secrets.set_secret("A", value)
            report = secrets.verify_audit()
            assert report.problems == ()
            # An event that has lost its line feed alone is whole.
            assert bool(report.notes) == (lost > 1 or zeros > 65_536)


def test_a_header_that_another_process_writes_at_this_moment_is_no_damage(tmp_path, master_key, monkeypatch):
    sink = FileSink(str(tmp_path / "audit.log"))
    sink.append(b"x\n")
    whole = (tmp_path / "audit.log").read_bytes()
    (tmp_path / "audit.log").write_bytes(b"")
    read = os.pread

    def read_before_it_is_written(*arguments):
        found = read(*arguments)
        (tmp_path / "audit.log").write_bytes(whole)
        return found

    monkeypatch.setattr(os, "pread", read_before_it_is_written)
    assert list(sink.lines_backwards()) == []
    assert len(list(sink.lines())) == 2


def test_lines_that_a_power_loss_turned_to_zeros_are_named_with_that_reason(tmp_path):
    sink = FileSink(str(tmp_path / "audit.log"))
    log = writer(sink)
    for name in "ABCDE":
        log.record("GET", name, "ok")
    stream = log.record("GET", "F", "ok").partition("-")[0]
    lines = list(sink.lines())
    with open(tmp_path / "audit.log", "r+b") as file:
        file.seek(lines[3].position.offset)
        file.write(b"\0" * (lines[5].position.offset - lines[3].position.offset))
    (problem,) = verify(sink, KEYS, {}).problems
    assert problem.message == f"before this line, {stream}-3 to {stream}-4 is missing"
    assert any("NUL bytes stand before it" in more and "a power loss" in more for more in problem.consequences)


# No descriptor free


@pytest.fixture
def few_descriptors() -> Iterator[list[int]]:
    """Let no descriptor be free, until those of the list are closed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 30, before[1]))
    yield taken
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for descriptor in taken:
        os.close(descriptor)


def take_all(taken: list[int], but: int = 0) -> None:
    with suppress(OSError):
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    assert taken
    for _ in range(but):
        os.close(taken.pop())


@pytest.mark.parametrize("free", range(5))
def test_a_stream_whose_first_event_found_no_descriptor_begins_when_one_is_free(tmp_path, few_descriptors, free):
    sink = FileSink(str(tmp_path / "audit.log"))
    log = writer(sink)
    writer(FileSink(str(tmp_path / "audit.log"))).record("GET", "OTHER", "ok")
    take_all(few_descriptors, free)
    answered, refusals = 0, []
    for _ in range(3):
        try:
            log.record("GET", "A", "ok")
            answered += 1
        except AuditError as error:
            refusals.append(str(error))
    while few_descriptors:
        os.close(few_descriptors.pop())
    log.record("GET", "A", "ok")
    assert answered in (0, 3)
    assert all("EMFILE" in refusal for refusal in refusals)
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert (report.problems, report.notes) == ((), ())
    assert sum(b'"name":"A"' in line.text for line in sink.lines()) == answered + 1


@pytest.mark.parametrize("free", range(4))
def test_a_roll_over_without_a_descriptor_is_made_up_for(tmp_path, few_descriptors, free):
    sink = FileSink(str(tmp_path / "audit.log"), max_bytes=2000)
    log = writer(sink)
    log.record("GET", "A", "ok")
    take_all(few_descriptors, free)
    written, refusals = 1, []
    for _ in range(20):
        try:
            log.record("GET", "A", "ok")
            written += 1
        except AuditError as error:
            refusals.append(str(error))
    while few_descriptors:
        os.close(few_descriptors.pop())
    for _ in range(10):
        log.record("GET", "A", "ok")
    assert all("EMFILE" in refusal for refusal in refusals)
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert (report.problems, report.notes) == ((), ())
    assert report.segments > 1
    assert sum(b'"name":"A"' in line.text for line in sink.lines()) == written + 10


@pytest.mark.parametrize("name", ["close", "fsync", "fstat", "stat", "rename", "link", "unlink"])
def test_a_call_that_fails_amid_a_roll_over_harms_no_descriptor(tmp_path, master_key, monkeypatch, name):
    """A descriptor is closed also when `close` fails: used again, its number may be that of another file."""
    monkeypatch.setattr("strongroom.audit_sinks.file.LOOK_EVERY", 0.0)
    real, left = getattr(os, name), 0

    def fail_once(*arguments, **more):
        nonlocal left
        left -= 1
        if left == 0:
            if name == "close":
                real(*arguments)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **more)

    store, audit = f"sqlite:{tmp_path}/store.db", f"file:{tmp_path}/audit.log"
    with strongroom.init(store, audit=audit, audit_max_bytes=600) as secrets:
        secrets.set_secret("A", "1")
        secrets.get_secret("A")
        before = len(os.listdir("/proc/self/fd"))
        for number in range(1, 60):
            left = number
            with monkeypatch.context() as patch, suppress(strongroom.StrongroomError):
                patch.setattr(os, name, fail_once)
                for _ in range(4):
                    secrets.get_secret("A")
            assert len(os.listdir("/proc/self/fd")) <= before
        assert secrets.get_secret("A") == "1"
        assert secrets.verify_audit().problems == ()


def test_no_failed_read_of_a_header_leaks_a_descriptor(tmp_path, monkeypatch):
    from strongroom.audit_sinks import reading, rotation

    path = tmp_path / "audit.log"
    FileSink(str(path)).append(b'{"n":1}\n')

    def fail(_):
        raise OSError(errno.EIO, "broken")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(rotation, "read_header", fail)
    sink = FileSink(str(path))
    with pytest.raises(AuditError, match="EIO"):
        sink.segment()
    for step in ("read_header", "parse_header"):
        monkeypatch.setattr(reading, step, fail)
        with pytest.raises(AuditError, match="EIO"):
            list(sink.lines())
    with pytest.raises(AuditError, match="EIO"):
        list(sink.lines_backwards())
    assert len(os.listdir("/proc/self/fd")) == before


# A fork in C, which Python does not tell us of


FORK_IN_C = """
import ctypes, os, sys
from strongroom.audit.log import AuditLog
from strongroom.audit_sinks.file import FileSink
path, sync, before, key, store = sys.argv[1:]
log = AuditLog(FileSink(path, sync=sync), {1: bytes.fromhex(key)}, store=store, actor="alice", service="shop")
for _ in range(int(before)):
    log.record("GET", "BEFORE", "ok")
fork = ctypes.PyDLL(None).fork
child = fork()
grandchild = 0 if child else fork()
for _ in range(60):
    log.record("GET", "PARENT" if child else "CHILD", "ok")
log.checkpoint()
for each in filter(None, (child, grandchild)):
    assert os.waitpid(each, 0)[1] == 0
"""


@pytest.mark.parametrize("before", [0, 1, 10, 100])
@pytest.mark.parametrize("sync", ["write", "fsync"])
def test_a_child_of_a_fork_in_c_writes_a_stream_of_its_own(tmp_path, before, sync):
    # In a program of one thread: another one could hold a lock of Python's amid the fork.
    given = [str(tmp_path / "audit.log"), sync, str(before), KEYS[1].hex(), STORE]
    subprocess.run([sys.executable, "-c", FORK_IN_C, *given], check=True, timeout=60)
    sink = FileSink(str(tmp_path / "audit.log"), sync=sync)
    report = verify(sink, KEYS, dict([writer(sink).checkpoint()]))
    assert (report.problems, report.notes) == ((), ())
    texts = [line.text for line in sink.lines()]
    pids = {name: {text.partition(b'"pid":')[2].partition(b",")[0] for text in texts if name in text}
            for name in (b'"PARENT"', b'"CHILD"')}  # fmt: skip
    assert sum(b'"CHILD"' in text for text in texts) == 120
    assert (len(pids[b'"PARENT"']), len(pids[b'"CHILD"'])) == (1, 2)


def test_a_store_that_was_opened_before_a_fork_in_c_leaves_a_log_that_verifies(tmp_path, master_key):
    store, audit = f"sqlite:{tmp_path}/store.db", f"file:{tmp_path}/audit.log"
    strongroom.init(store, audit=audit).close()
    code = f"""
import ctypes, os
import strongroom
secrets = strongroom.open({store!r}, audit={audit!r})
secrets.set_secret("A", "value")
child = ctypes.PyDLL(None).fork()
for _ in range(5):
    try:
        secrets.get_secret("A")
    except strongroom.errors.StoreError as error:
        assert "fork" in str(error), error
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with strongroom.open(store, audit=audit) as secrets:
        report = secrets.verify_audit()
    assert (report.problems, report.notes) == ((), ())


# Odd clocks, long names


@pytest.mark.parametrize("now", [0, 1, 999_999_999, 253_402_300_800_000_000_000, 2**63])
def test_a_clock_that_is_far_off_is_no_error(tmp_path, now):
    sink = FileSink(str(tmp_path / "audit.log"))
    log = writer(sink)
    log._clock = lambda: now
    log.record("GET", "A", "ok")
    assert verify(sink, KEYS, {}).ok


@pytest.mark.parametrize("actor", ["a" * 20_000, "\u00fc" * 3_000, "\U0001f511" * 2_000])
def test_an_event_that_is_too_long_to_be_read_is_not_written(tmp_path, actor):
    sink = FileSink(str(tmp_path / "audit.log"))
    log = writer(sink)
    log.record("GET", "A", "ok")
    with pytest.raises(AuditError, match=r"at most 16,384 are read: shorten the name of the actor"):
        log.record("GET", "A", "ok", caller=Caller(actor))
    log.record("GET", "\U0001f511" * 128, "ok", caller=Caller("\U0001f511" * 256))
    assert verify(sink, KEYS, {}).ok

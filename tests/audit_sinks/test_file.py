import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from strongroom.audit.log import AuditLog
from strongroom.audit.verify import verify
from strongroom.audit_sinks import file, reading
from strongroom.audit_sinks.file import FileSink, connect
from strongroom.errors import AuditError, ConfigError
from strongroom.testing.audit_sinks import AuditSinkSuite

KEYS = {1: b"k" * 32}
STORE = "5" * 32

WRITER = """
import sys
from strongroom.audit.log import AuditLog
from strongroom.audit_sinks.file import FileSink

path, number, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sink = FileSink(path, max_bytes=max_bytes or None)
log = AuditLog(sink, {1: b"k" * 32}, store="5" * 32, actor="a", service="s")
print("ready", flush=True)
sys.stdin.readline()
while number:
    log.record("GET", "A", "ok")
    number -= 1
"""


class TestFileSink(AuditSinkSuite):
    def make(self, tmp_path):
        return FileSink(str(tmp_path / "audit.log"))


class TestFileSinkWithFsync(AuditSinkSuite):
    def make(self, tmp_path):
        return FileSink(str(tmp_path / "audit.log"), sync="fsync")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "audit.log"


def writer(sink, **more):
    return AuditLog(sink, KEYS, store=STORE, actor="alice", service="shop", **more)


def fill(sink, number):
    log = writer(sink)
    for _ in range(number - 1):
        log.record("GET", "A", "ok")
    return log


def run_writers(path, processes, number, max_bytes=0):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number), str(max_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(processes)
    ]  # fmt: skip
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    return started


def finish(started):
    for process in started:
        process.communicate()
        assert process.returncode == 0


# One file


def test_file_and_directory_are_made_and_the_file_is_private(path):
    FileSink(str(path)).append(b'{"n":1}\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b'{"strongroom_audit":1,"log":"')
    assert path.read_bytes().endswith(b'","segment":1}\n{"n":1}\n')


def test_reading_makes_no_file(path):
    sink = FileSink(str(path))
    assert list(sink.lines()) == list(sink.lines_backwards()) == []
    assert not path.parent.exists()


def test_an_empty_file_that_was_made_for_the_log_keeps_its_mode(path):
    path.parent.mkdir()
    path.touch()
    path.chmod(0o640)
    FileSink(str(path)).append(b'{"n":1}\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert len(path.read_bytes().splitlines()) == 2


def test_a_second_sink_goes_on_with_the_same_log(path):
    first, second = FileSink(str(path)), FileSink(str(path))
    first.append(b'{"n":1}\n')
    second.append(b'{"n":2}\n')
    assert second.position().log == first.position().log
    assert first.position().offset < second.position().offset


def test_a_symlink_is_followed(path, tmp_path):
    link = tmp_path / "link.log"
    link.symlink_to(path)
    FileSink(str(link)).append(b'{"n":1}\n')
    assert path.is_file()
    assert link.is_symlink()


def test_a_relative_path_stays_where_it_was_when_the_process_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sink = FileSink("audit.log")
    monkeypatch.chdir("/")
    sink.append(b'{"n":1}\n')
    assert (tmp_path / "audit.log").exists()


@pytest.mark.parametrize("content", [b"2026-01-31 some other log\n", b"\x7fELF", b'{"strongroom_audit":1}\n'])
def test_another_file_is_not_appended_to(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    sink = FileSink(str(path))
    with pytest.raises(AuditError, match="not an audit log"):
        sink.append(b'{"n":1}\n')
    assert path.read_bytes() == content
    with pytest.raises(AuditError, match="does not start like"):
        list(sink.lines())


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_is_no_audit_log(device):
    with pytest.raises(AuditError, match="not an audit log"):
        FileSink(device).append(b'{"n":1}\n')


def test_a_directory_is_no_audit_log(tmp_path):
    with pytest.raises(AuditError, match="EISDIR"):
        FileSink(str(tmp_path)).append(b'{"n":1}\n')


def test_a_log_that_may_not_be_read_is_an_error(path, monkeypatch):
    sink = FileSink(str(path))
    sink.append(b'{"n":1}\n')

    def refuse(*_):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(reading, "read_header", refuse)
    with pytest.raises(AuditError, match=r"cannot be read \(EACCES.*let this user"):
        list(sink.lines())


@pytest.mark.parametrize("wrong", [{"sync": "maybe"}, {"keep": 0}])
def test_wrong_settings_are_refused(path, wrong):
    with pytest.raises(ConfigError):
        FileSink(str(path), **wrong)


def test_connect_needs_a_path():
    with pytest.raises(ConfigError, match="file:logs"):
        connect("")
    assert connect("logs/a.log").url == "file:logs/a.log"


def test_with_fsync_every_line_is_synced(path, monkeypatch):
    sink = FileSink(str(path), sync="fsync")
    sink.segment()
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sink.append(b'{"n":1}\n')
    assert len(synced) == 1


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 10_000])
def test_reading_backwards_does_not_depend_on_the_size_of_a_read(path, chunk):
    sink = FileSink(str(path))
    for n in range(12):
        sink.append(b'{"n":"%b"}\n' % (b"x" * n))
    with path.open("ab") as file:
        file.write(b"\n\ntorn")
    (segment,) = reading.oldest_first(sink._place)
    assert list(reading.backwards(segment, chunk)) == list(reading.forwards(segment))[::-1]


# Failing writes


def test_a_failed_write_names_the_reason_and_what_to_do(path, monkeypatch):
    sink = FileSink(str(path))
    sink.append(b'{"n":1}\n')

    def refuse(*_):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(AuditError, match=r"audit\.log cannot be written \(EROFS.*name another one with --audit"):
        sink.append(b'{"n":2}\n')


def test_after_a_torn_write_the_next_line_stands_alone(path, monkeypatch):
    sink = FileSink(str(path))
    log = fill(sink, 3)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, line: write(fd, line[:50]))
    with pytest.raises(AuditError, match="ENOSPC"):
        log.record("GET", "TORN", "ok")
    monkeypatch.undo()
    log.record("GET", "NEXT", "ok")
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert report.problems == ()
    assert ["torn" in note.message for note in report.notes] == [True]
    assert report.events == 5


def test_a_line_that_another_process_tore_does_not_swallow_the_next(path):
    fill(FileSink(str(path)), 3)
    with path.open("ab") as file:
        file.write(b'{"id":"0123')
    sink = FileSink(str(path))
    fill(sink, 3)
    report = verify(sink, KEYS, {})
    assert (report.events, report.problems, len(report.notes)) == (6, (), 1)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_on_a_full_disk_nothing_is_answered_and_the_log_still_verifies(small_disk):
    sink = FileSink(str(small_disk / "audit.log"))
    log = writer(sink)
    written = []

    def fill_the_disk():
        while True:
            written.append(log.record("GET", "A", "ok"))

    with pytest.raises(AuditError, match="ENOSPC"):
        fill_the_disk()
    with pytest.raises(AuditError, match="free some space"):
        log.record("GET", "A", "ok")
    report = verify(sink, KEYS, {})
    assert (report.events, report.problems) == (len(written) + 1, ())


# Many processes


def test_four_processes_write_one_log(path):
    finish(run_writers(path, 4, 500))
    report = verify(FileSink(str(path)), KEYS, {})
    assert (report.events, report.streams, report.problems, report.notes) == (4 * 501, 4, (), ())


def test_rotation_under_four_writers_loses_nothing(path):
    finish(run_writers(path, 4, 500, max_bytes=50_000))
    sink = FileSink(str(path))
    report = verify(sink, KEYS, {})
    assert (report.problems, report.notes) == ((), ())
    assert report.segments > 3
    assert sum(b'"action":"GET"' in line.text for line in sink.lines()) == 2000


def test_a_log_can_be_verified_while_it_is_written_and_rotated(path):
    started = run_writers(path, 3, 1500, max_bytes=30_000)
    sink = FileSink(str(path))
    read = 0
    while any(process.poll() is None for process in started):
        report = verify(sink, KEYS, {})
        assert report.problems == ()
        assert read <= report.events
        read = report.events
    finish(started)
    assert verify(sink, KEYS, {}).problems == ()


def test_a_killed_writer_leaves_a_log_that_verifies(path):
    started = run_writers(path, 2, -1, max_bytes=50_000)
    while len(list(path.parent.glob("audit.log.0*"))) < 3:
        assert all(process.poll() is None for process in started)
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    sink = FileSink(str(path))
    log = fill(sink, 3)
    assert verify(sink, KEYS, dict([log.checkpoint()])).problems == ()


# Rotation


@pytest.fixture
def looks_always(monkeypatch):
    """Let writers look at the path before each line."""
    monkeypatch.setattr(file, "LOOK_EVERY", 0.0)


def test_a_full_file_is_rotated_and_keeps_mode_and_log_id(path):
    sink = FileSink(str(path), max_bytes=1000)
    log = fill(sink, 2)
    first = sink.position()
    path.chmod(0o640)
    for _ in range(4):
        log.record("GET", "A", "ok")
    assert (path.parent / "audit.log.000001").exists()
    assert sink.position().log == first.log
    assert sink.position().segment > 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_without_a_limit_nothing_is_rotated(path, looks_always):
    sink = FileSink(str(path), max_bytes=None)
    fill(sink, 50)
    assert sink.position().segment == 1


def test_another_process_notices_a_rotation(path, looks_always):
    first, second = FileSink(str(path), max_bytes=1000), FileSink(str(path), max_bytes=None)
    other = fill(second, 2)
    fill(first, 5)
    other.record("GET", "A", "ok")
    assert second.position().segment == first.position().segment > 1
    assert verify(first, KEYS, {}).problems == ()


def test_only_so_many_old_segments_are_kept(path):
    sink = FileSink(str(path), max_bytes=1000, keep=2)
    log = fill(sink, 30)
    kept = sorted(name.name for name in path.parent.glob("audit.log.0*"))
    newest = sink.position().segment
    assert kept == [f"audit.log.{newest - 2:06d}", f"audit.log.{newest - 1:06d}"]
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert report.problems == ()
    assert f"segments 1 to {newest - 3} are not here" in report.notes[0].message


@pytest.mark.parametrize("name", ["audit.log.1", "audit.log-20260131"])
@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_another_program_renamed_stays_part_of_the_log(path, looks_always, name, create):
    sink = FileSink(str(path))
    log = fill(sink, 3)
    path.rename(path.parent / name)
    if create:
        path.touch(0o600)
    log.record("GET", "A", "ok")
    assert sink.position().segment == 2
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert (report.events, report.segments, report.problems) == (5, 2, ())


def test_a_new_process_goes_on_after_a_rename(path):
    fill(FileSink(str(path)), 3)
    path.rename(path.parent / "audit.log.1")
    sink = FileSink(str(path))
    fill(sink, 3)
    report = verify(sink, KEYS, {})
    assert (report.segments, report.problems) == (2, ())


def test_lines_that_were_written_between_the_rename_and_its_discovery_are_not_lost(path):
    sink = FileSink(str(path))
    log = fill(sink, 3)
    path.rename(path.parent / "audit.log.1")
    log.record("GET", "LATE", "ok")
    sink.close()
    log.record("GET", "A", "ok")
    report = verify(sink, KEYS, {})
    assert (report.events, report.problems) == (6, ())


def test_a_backup_copy_of_a_segment_does_not_count_twice(path):
    sink = FileSink(str(path), max_bytes=1000)
    fill(sink, 6)
    (path.parent / "audit.log.bak").write_bytes(path.read_bytes())
    (path.parent / "audit.log.0").write_bytes((path.parent / "audit.log.000001").read_bytes())
    assert verify(sink, KEYS, {}).problems == ()


def test_a_rotation_never_overwrites_a_file(path):
    sink = FileSink(str(path), max_bytes=1000)
    log = fill(sink, 2)
    blocker = path.parent / "audit.log.000001"
    blocker.write_text("mine")
    for _ in range(2):
        log.record("GET", "A", "ok")
    assert blocker.read_text() == "mine"
    assert sink.position().segment == 2
    assert verify(sink, KEYS, {}).problems == ()

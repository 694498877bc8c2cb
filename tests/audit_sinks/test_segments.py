"""Reading and rotating a log whose files move, end torn, or lie beside those of another log."""

import os
import stat

import pytest

from strongroom.audit_sinks import reading, rotation
from strongroom.audit_sinks.file import FileSink, connect
from strongroom.audit_sinks.rotation import Place
from strongroom.audit_sinks.segments import Header, rotated
from strongroom.audit_sinks.sharing import Directory
from strongroom.errors import AuditError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


def fill(path, number=3, **settings):
    sink = FileSink(str(path), **settings)
    for n in range(number):
        sink.segment()
        sink.append(b'{"n":%d}\n' % n)
    return sink


def rotate(path, name="audit.log.000001"):
    """Do what another process does when the file is full."""
    path.rename(path.parent / name)
    FileSink(str(path)).append(b'{"n":"new"}\n')


def another_log(path, *segments):
    for segment in segments:
        (path.parent / f"audit.log-old{segment}").write_bytes(Header("00000000000000bb", segment).encode())


def numbers(lines):
    return [line.text for line in lines if b"strongroom_audit" not in line.text]


@pytest.mark.parametrize("name", ["audit.log.000001", "audit.log.1"])
def test_a_segment_that_is_rotated_while_it_is_read_is_read_where_it_lies_now(path, name):
    fill(path)
    another_log(path, 9)
    (segment,) = reading.oldest_first(Place(str(path), None, None))
    before = list(reading.forwards(segment))
    rotate(path, name)
    assert list(reading.forwards(segment)) == before
    assert list(reading.backwards(segment)) == before[::-1]


def test_a_segment_that_is_deleted_while_it_is_read_is_said_to_be_gone(path):
    fill(path)
    (segment,) = reading.oldest_first(Place(str(path), None, None))
    rotate(path)
    (path.parent / "audit.log.000001").unlink()
    for read in (reading.forwards, reading.backwards):
        with pytest.raises(FileNotFoundError, match="rolled out and deleted"):
            list(read(segment))


@pytest.mark.parametrize("end", [b"", b"torn"])
def test_what_is_appended_while_a_segment_is_read_is_left_for_the_next_time(path, end):
    fill(path)
    with path.open("ab") as file:
        file.write(end)
    (segment,) = reading.oldest_first(Place(str(path), None, None))
    before = list(reading.forwards(segment))
    with path.open("ab") as file:
        file.write(b' and more\n{"n":"late"}\n')
    assert list(reading.forwards(segment)) == before
    assert list(reading.backwards(segment)) == before[::-1]


def test_the_segments_of_another_log_beside_it_are_neither_read_nor_deleted(path):
    sink = fill(path, 1, max_bytes=70, keep=1)
    another_log(path, 1, 8, 9)
    for n in range(1, 6):
        sink.segment()
        sink.append(b'{"n":%d}\n' % n)
    assert sink.segment() == 4
    assert numbers(sink.lines()) == [b'{"n":4}', b'{"n":5}']
    assert numbers(sink.lines_backwards()) == [b'{"n":5}', b'{"n":4}']
    assert sorted(path.parent.glob("audit.log-old*")) == [path.parent / f"audit.log-old{n}" for n in (1, 8, 9)]


@pytest.mark.parametrize(("more", "rotates"), [(-1, True), (0, True), (1, False)])
def test_a_file_is_full_when_it_has_the_bytes_that_it_may_have(path, more, rotates):
    fill(path)
    place = Place(str(path), path.stat().st_size + more, None)
    now = place.follow(place.follow(None))
    assert (now.header.segment == 2) is rotates
    os.close(now.fd)


@pytest.fixture
def no_owner(monkeypatch):
    """Refuse to give files away, as the kernel does to a user other than root; return what was asked for."""
    asked = []

    def refuse(fd, owner, group):
        asked.append((owner, group))
        if owner != -1 or group == 77:
            raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    return asked


@pytest.mark.parametrize(("group", "mode"), [(88, 0o661), (77, 0o601)])
def test_a_new_segment_gives_rights_to_a_group_only_when_it_gets_that_group(tmp_path, no_owner, group, mode):
    like = os.stat_result((stat.S_IFREG | 0o661, 0, 0, 1, 5, group, 0, 0, 0, 0))
    fd = os.open(tmp_path / "new", os.O_CREAT | os.O_RDWR, 0o600)
    rotation._share(fd, like)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == mode
    assert no_owner == [(5, group), (-1, group)]
    os.close(fd)


def test_the_settings_of_a_log_are_those_that_were_given(path):
    sink = connect(str(path), sync="fsync", max_bytes=70, keep=1)
    synced = []
    sink.append(b'{"n":0}\n')
    fsync, os.fsync = os.fsync, synced.append
    try:
        for n in range(1, 5):
            sink.append(b'{"n":%d}\n' % n)
    finally:
        os.fsync = fsync
    assert len(synced) == 4
    for _ in range(4):
        sink.segment()
        sink.append(b'{"n":5}\n')
    assert list(rotated(str(path), Directory(str(path.parent), ()))) == [2]


@pytest.mark.parametrize(("error", "message"), [(OSError("odd"), r"\(\?: Success\)"), (OSError(5, "odd"), r"\(EIO: ")])
def test_any_failure_names_the_file_and_what_to_do(path, monkeypatch, error, message):
    sink = fill(path)

    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "lseek", refuse)
    monkeypatch.setattr(reading, "parse_header", refuse)
    for read in (sink.position, lambda: list(sink.lines()), lambda: list(sink.lines_backwards())):
        with pytest.raises(AuditError) as caught:
            read()
        assert str(caught.value).startswith(f"the audit log {path} cannot be read (")
        assert str(caught.value).endswith(": look at the file and its directory")
        with pytest.raises(AuditError, match=message):
            read()

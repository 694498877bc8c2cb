"""What a writer finds at the path of its log, and what it makes there, while other processes do the same."""

import errno
import os

import pytest

from strongroom.audit_sinks import file
from strongroom.audit_sinks.file import FileSink
from strongroom.audit_sinks.rotation import Place
from strongroom.audit_sinks.segments import Header, header_of, rotated
from strongroom.audit_sinks.sharing import Directory
from strongroom.errors import AuditError

LOG = "00000000000000aa"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


def put(path, *headers):
    for name, header in headers:
        (path.parent / name).write_bytes(header.encode())


def test_a_log_that_another_process_rolls_over_first_is_rolled_over_once(path):
    place, other = (Place(str(path), 1, None) for _ in range(2))
    mine, theirs = place.follow(None), other.follow(None)
    theirs = other.follow(theirs)
    mine = place.follow(mine)
    assert mine.header == theirs.header == Header(mine.header.log, 2)
    assert sorted(name.name for name in path.parent.iterdir()) == ["audit.log", "audit.log.000001"]
    for segment in (mine, theirs):
        os.close(segment.fd)


def test_a_log_that_another_process_makes_first_is_not_made_again(path, monkeypatch):
    link = os.link

    def late(*given):
        monkeypatch.setattr(os, "link", link)
        FileSink(str(path)).append(b'{"n":1}\n')
        link(*given)

    monkeypatch.setattr(os, "link", late)
    FileSink(str(path)).append(b'{"n":2}\n')
    assert path.read_bytes().splitlines()[1:] == [b'{"n":1}', b'{"n":2}']


def test_where_there_are_no_hard_links_a_log_is_made_all_the_same(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    sink = FileSink(str(path), max_bytes=1)
    for n in range(3):
        sink.segment()
        sink.append(b'{"n":%d}\n' % n)
    assert [line.position.segment for line in sink.lines() if b'"n"' in line.text] == [1, 2, 3]
    assert not list(path.parent.glob(".*"))


def test_a_log_goes_on_when_its_file_is_deleted_whatever_lies_beside_it(path, monkeypatch):
    monkeypatch.setattr(file, "LOOK_EVERY", 0.0)
    sink = FileSink(str(path))
    sink.append(b'{"n":1}\n')
    log = sink.position().log
    put(path, ("audit.log-old", Header("f" * 16, 9)))
    path.unlink()
    assert sink.segment() == 2
    assert (sink.position().log, sink.position().segment) == (log, 2)


def test_a_torn_line_ends_before_the_next_begins(path, monkeypatch):
    sink = FileSink(str(path))
    sink.append(b'{"n":1}\n')
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, line: write(fd, line[:3]))
    with pytest.raises(AuditError):
        sink.append(b'{"n":2}\n')
    monkeypatch.undo()
    sink.append(b'{"n":3}\n')
    with path.open("ab") as torn:
        torn.write(b'{"n')
    FileSink(str(path)).append(b'{"n":4}\n')
    assert path.read_bytes().splitlines()[1:] == [b'{"n":1}', b'{"n', b'{"n":3}', b'{"n', b'{"n":4}']


def test_the_path_is_looked_at_once_a_second(path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    looks = []
    follow = Place.follow
    monkeypatch.setattr(Place, "follow", lambda *given: looks.append(now[0]) or follow(*given))
    sink = FileSink(str(path))
    for now[0] in (100.0, 100.5, 100.999, 101.0, 101.5, 102.5):
        sink.segment()
    assert looks == [100.0, 101.0, 102.5]


def test_a_file_is_rotated_as_soon_as_it_is_full(path, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    header = len(Header(LOG, 1).encode())
    sink = FileSink(str(path), max_bytes=header + 16)
    segments = []
    for n in range(6):
        segments.append(sink.segment())
        sink.append(b'{"n":%d}\n' % n)
    assert segments == [1, 1, 2, 2, 3, 3]


def test_a_place_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(AuditError, match=r"cannot be opened \(EISDIR: .*name a file, not a directory$"):
        FileSink(str(tmp_path)).segment()


def test_a_pipe_is_no_audit_log_and_nobody_waits_for_it(path):
    os.mkfifo(path)
    with pytest.raises(AuditError, match="not a regular file"):
        list(FileSink(str(path)).lines())


@pytest.mark.parametrize("read", [FileSink.lines, FileSink.lines_backwards])
def test_an_empty_file_that_was_made_for_the_log_has_no_lines(path, read):
    path.touch()
    assert list(read(FileSink(str(path)))) == []
    put(path, ("audit.log.1", Header(LOG, 1)))
    assert [(line.position.log, line.position.segment) for line in read(FileSink(str(path)))] == [(LOG, 1)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"strongroom_audit":1,"log":"00000000000000ag","segment":1}\n',
        b'{"strongroom_audit":1,"log":"00000000000000AA","segment":1}\n',
        b'{"strongroom_audit":1,"log":"0000000000000aa","segment":1}\n',
        b'{"strongroom_audit":1,"log":"000000000000000aa","segment":1}\n',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":0}\n',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":01}\n',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":1000000000}\n',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":}\n',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":1}',
        b'{"strongroom_audit":1,"log":"00000000000000aa","segment":1} \n',
        b'{"strongroom_audit":1, "log":"00000000000000aa","segment":1}\n',
        b'{"strongroom_audit":2,"log":"00000000000000aa","segment":1}\n',
    ],
)
def test_a_header_has_one_spelling_only(path, line):
    path.write_bytes(line)
    assert header_of(str(path), Directory(str(path.parent), ())) is None
    path.write_bytes(Header(LOG, 999_999_999).encode() + b"more")
    assert header_of(str(path), Directory(str(path.parent), ())) == Header(LOG, 999_999_999)


def test_of_two_files_with_the_same_segment_the_one_that_was_rotated_here_is_read(path):
    names = ("audit.log-1", "audit.log.0", "audit.log.000001", "audit.log.1", "audit.log.bak")
    put(path, *((name, Header(LOG, 1)) for name in names))
    assert rotated(str(path), Directory(str(path.parent), ())) == {1: f"{path}.000001"}


def test_the_log_with_the_newest_segment_is_the_log_of_a_path(path):
    put(path, ("audit.log.1", Header(LOG, 9)), ("audit.log.2", Header(LOG, 8)), ("audit.log.3", Header("f" * 16, 5)))
    assert list(rotated(str(path), Directory(str(path.parent), ()))) == [8, 9]
    assert list(rotated(str(path), Directory(str(path.parent), ()), "f" * 16)) == [5]


def test_a_path_that_is_empty_for_the_moment_of_a_rotation_is_no_error(path, monkeypatch):
    sink = FileSink(str(path))
    sink.append(b"1\n")
    sink.close()
    path.rename(f"{path}.000001")
    # As another process saw it, before it was renamed.
    monkeypatch.setattr("os.path.exists", lambda path: True)
    sink.append(b"2\n")
    assert path.read_bytes().endswith(b"\n2\n")
    sink.close()


def test_a_segment_whose_name_is_taken_is_kept_beside_it(path, tmp_path, monkeypatch):
    monkeypatch.chdir(os.path.dirname(__file__))
    theirs = tmp_path / "audit.log.000001"
    theirs.write_bytes(b"theirs")
    sink = FileSink(str(path), max_bytes=len(Header(LOG, 1).encode()) + 8)
    for n in range(2):
        sink.segment()
        sink.append(b'{"n":%d}\n' % n)
    assert [line.text for line in sink.lines() if b'"n"' in line.text] == [b'{"n":0}', b'{"n":1}']
    assert theirs.read_bytes() == b"theirs"
    assert len(list(tmp_path.glob("audit.log.000001-*"))) == 1
    sink.close()

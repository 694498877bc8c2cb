"""Files in directories where others may write too."""

from __future__ import annotations

import os
import stat

import pytest

from strongroom.system import files
from strongroom.system.files import UnsafeFileError


def test_a_regular_file_of_ours_is_opened(tmp_path):
    (tmp_path / "file").write_text("content")
    descriptor = files.open_file(str(tmp_path / "file"), largest=7)
    assert os.read(descriptor, 100) == b"content"
    os.close(descriptor)


def make_link(path):
    (path.parent / "target").write_text("")
    path.symlink_to("target")


def make_dangling_link(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (make_link, "symbolic link"),
        (make_dangling_link, "symbolic link"),
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (lambda path: path.write_text("8 bytes."), "has 8 bytes, and at most 7"),
    ],
    ids=["link", "dangling link", "fifo", "directory", "too large"],
)
def test_anything_else_is_refused_at_once_and_named(tmp_path, make, why):
    make(tmp_path / "file")
    with pytest.raises(UnsafeFileError, match=why) as caught:
        files.open_file(str(tmp_path / "file"), largest=7)
    assert caught.value.filename == str(tmp_path / "file")
    # Other tests of this process may have threads that open and close files meanwhile.
    assert not [number for number in os.listdir("/proc/self/fd") if leads_below(tmp_path, number)]


def leads_below(directory, number: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith(str(directory))
    except OSError:
        return False


def test_a_link_is_followed_where_that_is_asked_for(tmp_path):
    make_link(tmp_path / "file")
    os.close(files.open_file(str(tmp_path / "file"), follow=True))


def test_a_device_is_refused():
    with pytest.raises(UnsafeFileError, match="not a regular file"):
        files.open_file("/dev/zero")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused_unless_that_one_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    os.chown(tmp_path / "file", 4102, 4102)
    with pytest.raises(UnsafeFileError, match=r"another user \(uid 4102"):
        files.open_file(str(tmp_path / "file"))
    os.close(files.open_file(str(tmp_path / "file"), owners={4102}))


def test_a_new_file_appears_whole_private_and_never_in_place_of_another(tmp_path):
    path = tmp_path / "file"

    def write(draft):
        assert not path.exists()
        with open(draft, "w") as file:
            file.write("content")

    files.make_new(str(path), write)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("content", 0o600)
    with pytest.raises(FileExistsError):
        files.make_new(str(path), write)
    assert os.listdir(tmp_path) == ["file"]


def test_a_draft_that_cannot_be_written_leaves_nothing(tmp_path):
    def fail(draft):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.make_new(str(tmp_path / "file"), fail)
    assert os.listdir(tmp_path) == []


def test_missing_directories_are_made_with_the_mode_that_was_asked_for_whatever_the_umask(tmp_path):
    for umask in (0o000, 0o077, 0o777):
        before = os.umask(umask)
        try:
            files.make_directories(str(tmp_path / f"a{umask}" / "b"), 0o750)
        finally:
            os.umask(before)
        for made in (tmp_path / f"a{umask}", tmp_path / f"a{umask}" / "b"):
            assert stat.S_IMODE(made.stat().st_mode) == 0o750


def test_a_directory_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            files.make_directories(str(path))

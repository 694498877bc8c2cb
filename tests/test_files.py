"""Files in directories where others may write too."""

from __future__ import annotations

import grp
import os
import pwd
import stat

import pytest

from strongroom import files
from strongroom.files import UnsafeFileError


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
    before = len(os.listdir("/proc/self/fd"))
    make(tmp_path / "file")
    with pytest.raises(UnsafeFileError, match=why) as caught:
        files.open_file(str(tmp_path / "file"), largest=7)
    assert caught.value.filename == str(tmp_path / "file")
    assert len(os.listdir("/proc/self/fd")) == before


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


@pytest.fixture
def tree(safe_directory):
    return str(safe_directory)


def put(*parts, mode=0o644):
    path = os.path.join(*parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w"):
        os.chmod(path, mode)
    return path


def test_a_way_that_only_we_can_change_gives_the_real_path(tree):
    path = put(tree, "a", "b", "file")
    os.symlink("a/b", os.path.join(tree, "relative"))
    os.symlink(os.path.join(tree, "relative"), os.path.join(tree, "absolute"))
    for way in ("a/b/file", "relative/file", "absolute/../b/file", "./a//b/./file"):
        assert files.check_way(os.path.join(tree, way)) == path
    assert files.check_way("/") == "/"
    assert files.check_way("/../..") == "/"


def test_a_relative_way_begins_at_the_working_directory(tree, monkeypatch):
    path = put(tree, "a", "file")
    monkeypatch.chdir(os.path.join(tree, "a"))
    assert files.check_way("file") == path


@pytest.mark.parametrize("where", [".", "a", "a/b", "a/b/file"])
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757, 0o775])
def test_what_others_can_write_on_the_way_is_refused_and_named(tree, where, mode):
    path = put(tree, "a", "b", "file")
    at = os.path.normpath(os.path.join(tree, where))
    if mode == 0o775:
        if os.geteuid() != 0 or not any(user.pw_gid == 1 for user in pwd.getpwall()):
            pytest.skip("needs root, and a user in group 1")
        os.chown(at, -1, 1)
    os.chmod(at, mode)
    link = os.path.join(tree, "link")
    os.symlink("a/b/file", link)
    for way in (path, link):
        with pytest.raises(UnsafeFileError, match="write to this") as caught:
            files.check_way(way)
        assert caught.value.filename == at


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("where", ["a", "a/b/file", "link"])
def test_what_belongs_to_another_user_on_the_way_is_refused(tree, where):
    put(tree, "a", "b", "file")
    os.symlink("a/b/file", os.path.join(tree, "link"))
    os.chown(os.path.join(tree, where), 4101, 4101, follow_symlinks=False)
    with pytest.raises(UnsafeFileError, match="another user"):
        files.check_way(os.path.join(tree, "link"))
    assert files.check_way(os.path.join(tree, "link"), owners=[4101])


def test_a_circle_of_links_ends(tree):
    os.symlink("b", os.path.join(tree, "a"))
    os.symlink("a", os.path.join(tree, "b"))
    with pytest.raises(OSError, match="levels of symbolic links"):
        files.check_way(os.path.join(tree, "a"))


def test_a_way_to_nowhere_is_not_found(tree):
    with pytest.raises(FileNotFoundError):
        files.check_way(os.path.join(tree, "missing", "file"))


def test_a_group_of_ours_alone_may_write(tree, monkeypatch):
    path = put(tree, "file", mode=0o664)
    gid = os.stat(path).st_gid
    me = pwd.struct_passwd(("me", "x", os.geteuid(), gid, "", "/", "/bin/sh"))
    group = grp.struct_group(("mine", "x", gid, []))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwall", lambda: [me])
    assert files.check_way(path) == path
    other = pwd.struct_passwd(("other", "x", 4102, gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [me, other])
    with pytest.raises(UnsafeFileError, match="a group of users"):
        files.check_way(path)

"""The way to a file, and who can change where it leads."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from strongroom.system.files import UnsafeFileError
from strongroom.system.ways import check_way, resolve


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
        assert check_way(os.path.join(tree, way)) == path
    assert check_way("/") == "/"
    assert check_way("/../..") == "/"


def test_a_relative_way_begins_at_the_working_directory(tree, monkeypatch):
    path = put(tree, "a", "file")
    monkeypatch.chdir(os.path.join(tree, "a"))
    assert check_way("file") == path


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
        with pytest.raises(UnsafeFileError, match="can be written by") as caught:
            check_way(way)
        assert caught.value.filename == at


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("where", ["a", "a/b/file", "link"])
def test_what_belongs_to_another_user_on_the_way_is_refused(tree, where):
    put(tree, "a", "b", "file")
    os.symlink("a/b/file", os.path.join(tree, "link"))
    os.chown(os.path.join(tree, where), 4101, 4101, follow_symlinks=False)
    with pytest.raises(UnsafeFileError, match="another user"):
        check_way(os.path.join(tree, "link"))
    assert check_way(os.path.join(tree, "link"), owners=[4101])


def test_a_circle_of_links_ends(tree):
    os.symlink("b", os.path.join(tree, "a"))
    os.symlink("a", os.path.join(tree, "b"))
    with pytest.raises(OSError, match="levels of symbolic links"):
        check_way(os.path.join(tree, "a"))


def test_a_way_to_nowhere_is_not_found(tree):
    with pytest.raises(FileNotFoundError):
        check_way(os.path.join(tree, "missing", "file"))


def test_a_group_of_ours_alone_may_write(tree, monkeypatch):
    path = put(tree, "file", mode=0o664)
    gid = os.stat(path).st_gid
    me = pwd.struct_passwd(("me", "x", os.geteuid(), gid, "", "/", "/bin/sh"))
    group = grp.struct_group(("mine", "x", gid, []))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwall", lambda: [me])
    assert check_way(path) == path
    other = pwd.struct_passwd(("other", "x", 4102, gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [me, other])
    with pytest.raises(UnsafeFileError, match="can be written by a group"):
        check_way(path)


def test_a_path_is_resolved_as_the_kernel_follows_it(tree):
    put(tree, "a", "b", "file")
    os.symlink("a/b", os.path.join(tree, "link"))
    os.symlink("nowhere", os.path.join(tree, "a", "dangling"))
    for path in ("a/b/file", "link/file", "link/missing/further", "link/../b/file", "a/dangling", "a/b/../../link"):
        assert resolve(os.path.join(tree, path)) == os.path.realpath(os.path.join(tree, path))


def test_links_that_lead_round_are_an_error(tree):
    os.symlink("b", os.path.join(tree, "a"))
    os.symlink("a", os.path.join(tree, "b"))
    for follow in (resolve, check_way):
        with pytest.raises(OSError, match="symbolic links"):
            follow(os.path.join(tree, "a"))

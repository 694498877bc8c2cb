"""Who decides what a path leads to. As two real users: tests/attacks/test_settings_of_strangers.py."""

from __future__ import annotations

import os

import pytest

from strongroom.settings import trust
from strongroom.system import ways

pytestmark = pytest.mark.own_directory


def names(path) -> list[str]:
    return [step for step, _ in ways.steps(str(path))]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("")
    return tmp_path


def test_every_directory_from_the_root_on_is_a_step(tree):
    found = names(tree / "a" / "b" / "file")
    assert found[0] == "/"
    assert found[-3:] == [f"{tree}/a", f"{tree}/a/b", f"{tree}/a/b/file"]
    assert len(found) == len((tree / "a" / "b" / "file").parts)


def test_links_are_steps_and_so_is_what_they_lead_through(tree):
    (tree / "c").mkdir()
    (tree / "c" / "link").symlink_to("../a/b")
    (tree / "absolute").symlink_to(tree / "c" / "link")
    found = names(tree / "absolute" / "file")
    for step in ("absolute", "c", "c/link", "a", "a/b", "a/b/file"):
        assert f"{tree}/{step}" in found


def test_two_dots_after_a_link_lead_to_where_the_link_leads(tree):
    (tree / "link").symlink_to("a/b")
    assert names(tree / "link" / ".." / "b" / "file")[-1] == f"{tree}/a/b/file"
    assert f"{tree}/a" in names(f"{tree}/link/../b")


def test_a_relative_path_starts_from_the_working_directory(tree, monkeypatch):
    monkeypatch.chdir(tree / "a")
    assert names("b/file")[-1] == f"{tree}/a/b/file"
    assert names("../a")[-1] == f"{tree}/a"


def test_the_way_ends_where_something_is_missing_and_in_a_circle_of_links(tree):
    assert names(tree / "a" / "gone" / "file")[-1] == f"{tree}/a"
    assert names(tree / "a" / "b" / "file" / "below")[-1] == f"{tree}/a/b/file"
    (tree / "one").symlink_to("two")
    (tree / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        names(tree / "one")


@pytest.mark.parametrize(
    ("mode", "words", "mend"),
    [
        (0o755, None, ""),
        (0o777, "can be written by others", "chmod o-w"),
        (0o1777, "can be written by others", ""),
        (0o702, "can be written by others", "chmod o-w"),
        (0o775, "can be written by a group", "chmod g-w"),
        (0o3770, "can be written by a group", "chmod g-w"),
    ],
)
@pytest.mark.parametrize("what", ["a", "a/b", "a/b/file"])
def test_each_step_is_judged(tree, monkeypatch, mode, words, mend, what):
    monkeypatch.setattr(ways, "is_private_group", lambda *_: False)
    (tree / what).chmod(mode)
    found = trust.fault(str(tree / "a" / "b" / "file"))
    (tree / what).chmod(0o700)
    if words is None:
        assert found is None
        return
    assert found is not None
    assert (found.path, found.mend) == (f"{tree}/{what}", mend and f"{mend} {tree}/{what}")
    assert words in str(found)


def test_a_file_beside_one_that_was_judged_is_judged_itself(tree, monkeypatch):
    other = tree / "a" / "b" / "other"
    other.write_text("")
    beside = str(tree / "a" / "b" / "file")
    assert trust.fault(str(other), beside) is None
    other.chmod(0o666)
    assert "can be written by others" in str(trust.fault(str(other), beside))
    other.unlink()
    (tree / "open").mkdir()
    (tree / "open").chmod(0o777)
    (tree / "open" / "target").write_text("")
    other.symlink_to("../../open/target")
    assert str(tree / "open") in str(trust.fault(str(other), beside))


def test_what_cannot_be_examined_is_not_trusted(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", refuse)
    assert "cannot be examined: Permission denied" in str(trust.fault(str(tree)))
    assert not trust.is_roots(str(tree))


@pytest.mark.skipif(os.geteuid() != 0, reason="what is below /etc counts for root")
def test_for_root_only_what_is_below_etc_is_roots(tree):
    assert trust.is_roots("/etc/passwd")
    assert not trust.is_roots(str(tree / "a"))
    (tree / "link").symlink_to("/etc/passwd")
    assert not trust.is_roots(str(tree / "link"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_what_this_user_could_write_is_not_roots(tree):
    assert trust.is_roots("/etc/passwd")
    assert not trust.is_roots(str(tree / "a"))


def test_what_is_told_to_do_mends_the_whole_way_at_once(tree, monkeypatch):
    monkeypatch.setattr(ways, "is_private_group", lambda *_: False)
    (tree / "a").chmod(0o775)
    (tree / "a" / "b").chmod(0o707)
    found = trust.fault(str(tree / "a" / "b" / "file"))
    assert found is not None
    assert found.mend == f"chmod g-w {tree}/a && chmod o-w {tree}/a/b"
    (tree / "a" / "b").chmod(0o1777)
    found = trust.fault(str(tree / "a" / "b" / "file"))
    assert found is not None
    assert (found.path, found.mend) == (f"{tree}/a", ""), "the first one alone would not help"

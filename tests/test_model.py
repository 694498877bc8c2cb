import pytest

from strongroom.errors import InvalidNameError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.model import MAX_NAME_BYTES, check_name, check_prefix, version_path

GOOD = ["A", "POSTGRES_PASSWORD", "auth-service/db/password", "a b", "münchen/schlüssel", "…", "a/.env", "...", "a/...",
        "x" * MAX_NAME_BYTES, "é" * (MAX_NAME_BYTES // 2), "[x]", "a?", "*", "👩‍🚀".replace("\u200d", "")]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_returned(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "empty"),
        ("/", "segment"), ("/a", "segment"), ("a/", "segment"), ("a//b", "segment"),
        (".", "segment"), ("..", "segment"), ("a/./b", "segment"), ("../a", "segment"), ("a/..", "segment"),
        ("a\0", "control"), ("a\n", "control"), ("a\tb", "control"), ("\x7f", "control"), ("\x85", "control"),
        ("\u2028", "control"), ("\u202e", "control"), ("\u200b", "control"), ("\ufeff", "control"),
        ("\ud800", "surrogate"), ("a\udfff", "surrogate"),
        ("x" * (MAX_NAME_BYTES + 1), "513 bytes long; at most 512"),
        ("é" * 257, "514 bytes long"),
        ("é" * 512, "1024 bytes long"),
        (None, "text"), (b"A", "text"), (5, "text"), (["A"], "text"),
    ],
)  # fmt: skip
def test_a_bad_name_is_refused_with_the_rule_that_it_breaks(name, rule):
    with pytest.raises(InvalidNameError, match=rule) as caught:
        check_name(name)
    assert str(caught.value).isprintable()


def test_a_subclass_of_str_is_not_taken_because_it_may_answer_as_it_likes():
    class Sly(str):
        __slots__ = ()

    with pytest.raises(InvalidNameError):
        check_name(Sly("A"))


def test_a_long_name_is_cut_in_the_message():
    with pytest.raises(InvalidNameError) as caught:
        check_name("x" * 5000)
    assert "xxx..." in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("prefix", ["", "a", "a/", "auth-service/db/"])
def test_a_prefix_may_end_in_one_slash_or_be_empty(prefix):
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "a//", "..", "\n", 5, None])
def test_a_bad_prefix_is_refused(prefix):
    with pytest.raises(InvalidNameError):
        check_prefix(prefix)


def test_version_paths_sort_by_number():
    assert version_path("a/b", 7) == "version/a/b/0000000007"
    assert version_path("a", 9) < version_path("a", 10)


@pytest.mark.parametrize(
    ("info", "state"),
    [
        (VersionInfo(1, 0.0), "live"),
        (VersionInfo(1, 0.0, expires=1.0), "live"),
        (VersionInfo(1, 0.0, deleted=0.0), "deleted"),
        (VersionInfo(1, 0.0, destroyed=True), "destroyed"),
        (VersionInfo(1, 0.0, deleted=1.0, destroyed=True), "destroyed"),
    ],
)
def test_the_state_of_a_version(info, state):
    assert info.state == state


def test_a_version_is_readable_until_the_moment_it_expires():
    info = VersionInfo(1, 0.0, expires=10.0)
    assert info.readable_at(9.999)
    assert not info.readable_at(10.0)
    assert VersionInfo(1, 0.0).readable_at(1e12)
    assert not VersionInfo(1, 0.0, deleted=1.0).readable_at(0.0)


def test_a_version_is_found_by_its_number():
    info = SecretInfo("a", 3, (VersionInfo(2, 0.0), VersionInfo(3, 1.0)), {}, 2)
    assert info.version(2) == VersionInfo(2, 0.0)
    assert info.version(1) is None

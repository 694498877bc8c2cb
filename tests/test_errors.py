import re

import pytest

from strongroom import errors
from strongroom.errors import StrongroomError


def tree(cls=StrongroomError):
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == "strongroom.errors":
            yield from tree(child)


def table() -> dict[str, tuple[int, int]]:
    """Read exit code and HTTP status of each class from the docstring; one without numbers has those of its parent."""
    numbers: dict[str, tuple[int, int]] = {"StrongroomError": (1, 500)}
    above = (1, 500)
    for line in errors.__doc__.splitlines():
        found = re.search(r"(\w+Error)(?: +(\d+) +(\d{3}))?", line) if "──" in line else None
        if found:
            above = (int(found[2]), int(found[3])) if found[2] else above
            numbers[found[1]] = above
    return numbers


@pytest.mark.parametrize("cls", list(tree()), ids=lambda cls: cls.__name__)
def test_every_class_is_in_the_table_with_its_numbers(cls):
    assert table()[cls.__name__] == (cls.exit_code, cls.http_status)


def test_the_table_holds_no_class_that_is_not_there():
    assert set(table()) == {cls.__name__ for cls in tree()}


def test_every_class_in_the_file_is_below_the_root():
    found = {name for name, item in vars(errors).items() if isinstance(item, type)}
    assert found == {cls.__name__ for cls in tree()}


def test_every_kind_has_an_exit_code_of_its_own():
    kinds = StrongroomError.__subclasses__()
    codes = {cls.exit_code for cls in kinds}
    assert len(codes) == len(kinds)
    assert 1 not in codes


def test_codes_are_single_words():
    for cls in tree():
        assert re.fullmatch("[a-z]+(_[a-z]+)*", cls.code)


def test_the_tree_is_drawn_as_it_is():
    lines = [line for line in errors.__doc__.splitlines() if "──" in line]
    names = [re.search(r"\w+Error", line)[0] for line in lines]
    assert names == [cls.__name__ for cls in tree()][1:]


def test_an_error_carries_name_and_version():
    error = StrongroomError("text", name="A", version=3)
    assert (str(error), error.name, error.version) == ("text", "A", 3)
    assert (StrongroomError("text").name, StrongroomError("text").version) == (None, None)

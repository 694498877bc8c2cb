"""`rm`, `undelete` and `destroy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import VALUE, Cli


def test_what_is_deleted_is_hidden_until_it_is_undeleted(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    assert store("rm", "A").code == 0
    assert store("get", "A").code == 3
    assert "it was so already" in store("delete", "A").err
    assert store("undelete", "A").err == "A: undeleted\n"
    assert store("get", "A").out == f"{VALUE}\n"
    assert json.loads(store("undelete", "A", "--json").out) == {"name": "A", "changed": False}


@pytest.mark.parametrize("command", [("rm",), ("undelete",), ("destroy", "-y"), ("destroy", "-y", "--with-history")])
def test_an_unknown_name_exits_with_3(store: Cli, command: tuple[str, ...]) -> None:
    assert store(*command, "A").code == 3


def test_versions_are_deleted_by_number(store: Cli) -> None:
    for value in ("one", "two", "three"):
        store("set", "A", stdin=value)
    assert store("rm", "A", "--version", "1", "--version", "2").code == 0
    assert store("get", "A", "--version", "1").code == 3
    assert store("get", "A").out == "three\n"
    assert store("rm", "A", "--version", "9").code == 3


def test_what_is_destroyed_is_gone_from_the_files(store: Cli, project: Path) -> None:
    store("set", "A", stdin=VALUE)
    assert store("destroy", "A", "--yes").err == "A: all versions destroyed\n"
    assert store("undelete", "A").code == 0
    assert store("get", "A").code == 3
    assert "destroyed" in store("history", "A").out
    assert store("destroy", "A", "--yes", "--with-history").code == 0
    assert store("history", "A").code == 3


def test_destroying_needs_a_yes(store: Cli, terminal: Callable[..., list[str]]) -> None:
    store("set", "A", stdin=VALUE)
    result = store("destroy", "A")
    assert result.code == 2
    assert "--yes" in result.err
    asked = terminal(False, True)
    assert store("destroy", "A").code == 2
    assert store("get", "A").code == 0
    assert store("destroy", "A", "--version", "1").code == 0
    assert store("get", "A").code == 3
    assert asked == ["Destroy all versions of A for good?", "Destroy version 1 of A for good?"]


def test_with_history_and_a_version_exclude_each_other(store: Cli) -> None:
    assert store("destroy", "A", "-y", "--with-history", "--version", "1").code == 2

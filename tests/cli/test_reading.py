"""`get`, `list` and `history`."""

from __future__ import annotations

import json

import pytest

from .conftest import VALUE, Cli


def test_get_prints_the_value_and_nothing_else(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    assert store("get", "A") == (0, f"{VALUE}\n", "", f"{VALUE}\n".encode())
    assert store("get", "A", "-n").out == VALUE


def test_get_prints_bytes_as_they_are(store: Cli) -> None:
    store("set", "A", stdin=b"\xff\x00\n")
    assert store("get", "A").raw == b"\xff\x00\n"
    assert json.loads(store("get", "A", "--json").out) == {"name": "A", "value": {"base64": "/wAK"}}


def test_get_of_an_unknown_name_exits_with_3_and_prints_nothing(store: Cli) -> None:
    result = store("get", "A")
    assert (result.code, result.out) == (3, "")
    assert "there is no secret 'A'" in result.err


def test_get_prints_the_default_in_place_of_an_unknown_secret(store: Cli) -> None:
    assert store("get", "A", "--default", "none").out == "none\n"
    assert store("get", "A", "--default", "").out == "\n"


def test_get_prints_an_older_version(store: Cli) -> None:
    store("set", "A", stdin="one")
    store("set", "A", stdin="two")
    assert store("get", "A", "--version", "1").out == "one\n"
    assert "there is no version 3 of secret 'A'" in store("get", "A", "--version", "3").err


def test_get_prints_a_field(store: Cli) -> None:
    store("set", "A", "--json-data", stdin='{"user": "me", "port": 5432, "tags": ["a"]}')
    assert store("get", "A", "--field", "user").out == "me\n"
    assert store("get", "A", "--field", "port").out == "5432\n"
    assert store("get", "A", "--field", "tags").out == '["a"]\n'
    assert store("get", "A", "--field", "none").code == 3


def test_get_of_several_fields_asks_for_one(store: Cli) -> None:
    store("set", "A", "--json-data", stdin='{"user": "me", "password": "x"}')
    result = store("get", "A")
    assert (result.code, result.out) == (2, "")
    assert "several fields" in result.err


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "..", "a/../b", "a\nb", "a\x00b", "x" * 513, "a\u202eb"])
def test_a_name_that_cannot_be_exits_with_2(store: Cli, name: str) -> None:
    result = store("get", name)
    assert (result.code, result.out) == (2, "")
    assert "cannot be a secret's name" in result.err


def test_a_version_that_is_not_there_leads_to_the_history(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    assert "`strongroom history A` shows its versions" in store("get", "A", "--version", "9").err
    assert "`strongroom list` shows names" in store("get", "B").err


def test_list_prints_sorted_names_of_what_is_not_deleted(store: Cli) -> None:
    for name in ("b", "a/x", "a/y", "c"):
        store("set", name, stdin=VALUE)
    store("rm", "c")
    assert store("list").out == "a/x\na/y\nb\n"
    assert store("ls", "a/").out == "a/x\na/y\n"
    assert json.loads(store("list", "--json").out) == ["a/x", "a/y", "b"]


def test_a_long_list_says_what_is_known_of_each(store: Cli) -> None:
    store("set", "A", "--custom", "owner=team\x1b[31m", "--expires-in", "1h", stdin=VALUE)
    name, version, created, expires, custom = store("list", "-l").out.rstrip("\n").split("\t")
    assert (name, version, custom) == ("A", "1", "owner=team\\x1b[31m")
    assert created < expires
    (row,) = json.loads(store("list", "--long", "--json").out)
    assert row["custom"] == {"owner": "team\x1b[31m"}
    assert row["max_versions"] == 10


def test_history_lists_versions_oldest_first(store: Cli) -> None:
    store("set", "A", stdin="one")
    store("set", "A", stdin="two")
    store("rm", "A", "--version", "1")
    rows = [line.split("\t") for line in store("history", "A").out.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [("1", "deleted"), ("2", "live, current")]
    versions = json.loads(store("history", "A", "--json").out)["versions"]
    assert [(v["version"], v["state"], v["current"]) for v in versions] == [(1, "deleted", False), (2, "live", True)]


def test_history_of_an_unknown_name_exits_with_3(store: Cli) -> None:
    assert store("history", "A").code == 3


def test_an_access_from_the_command_line_is_on_record_as_such(store: Cli) -> None:
    store("get", "A", "--actor", "alice")
    event = json.loads(store("audit", "log", "--name", "A").out)
    assert (event["actor"], event["service"], event["source"]) == ("alice", "strongroom", "cli")


def test_a_wrong_key_exits_with_4_and_no_store_with_3(store: Cli, other_key: str) -> None:
    assert store("get", "A", "--key", other_key).code == 4
    assert store("get", "A", "--key", "env:NOT_SET").code == 4
    assert store("get", "A", "--store", "sqlite:none.db").code == 3

"""`rekey`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import VALUE, Cli


@pytest.fixture
def filled(store: Cli) -> Cli:
    store("set", "A", stdin=VALUE)
    store("set", "B", stdin=VALUE)
    return store


def test_after_rekey_master_only_the_new_key_opens_the_store(filled: Cli, other_key: str) -> None:
    result = filled("rekey", "master", "--to", other_key)
    assert result.code == 0
    assert "mv " in result.err
    assert filled("get", "A").code == 4
    assert filled("get", "A", "--key", other_key).out == f"{VALUE}\n"


def test_rekey_master_says_nothing_of_moving_a_key_that_was_named(filled: Cli, other_key: str) -> None:
    result = filled("rekey", "master", "--to", other_key, "--key", "file:master.key")
    assert "mv " not in result.err
    made = json.loads(filled("rekey", "master", "--to", "file:master.key", "--key", other_key, "--json").out)
    assert made["label"] == "file:master.key"


@pytest.mark.parametrize("to", [(), ("--to", "file:none"), ("--to", "env:NOT_SET"), ("--to", "nonsense:")])
def test_rekey_master_without_a_usable_key_changes_nothing(filled: Cli, to: tuple[str, ...]) -> None:
    assert filled("rekey", "master", *to).code in (2, 4)
    assert filled("get", "A").code == 0


def test_rekey_data_encrypts_everything_anew(filled: Cli) -> None:
    assert filled("rekey", "data", "--algorithm", "fernet").err == "encrypted again: 2 records\n"
    assert json.loads(filled("rekey", "data", "--finish", "--json").out) == {"reencrypted": 0}
    assert filled("get", "A").out == f"{VALUE}\n"
    keys = json.loads(filled("rekey", "list", "--json").out)["keys"]
    assert [k["algorithm"] for k in keys if k["purpose"] == "record" and k["state"] == "primary"] == ["fernet"]
    assert filled("rekey", "data", "--finish", "--algorithm", "fernet").code == 2


def test_a_recipient_is_added_and_shut_out(filled: Cli, other_key: str) -> None:
    assert filled("rekey", "add", other_key).code == 0
    assert filled("get", "A", "--key", other_key).code == 0
    result = filled("rekey", "remove", "2")
    assert (result.code, result.out) == (0, "A\nB\n")
    assert "rotate each" in result.err
    assert filled("get", "A", "--key", other_key).code == 4
    assert filled("get", "A").code == 0


def test_a_recipient_who_stays_must_be_named(filled: Cli, other_key: str, project: Path) -> None:
    filled("keygen", "-o", "third.key")
    assert json.loads(filled("rekey", "add", other_key, "--json").out)["id"] == 2
    filled("rekey", "add", "file:third.key")
    assert filled("rekey", "remove", "2").code == 4
    removed = json.loads(filled("rekey", "remove", "2", "--stay", "file:third.key", "--json").out)
    assert (removed["removed"], removed["could_read"]) == (2, ["A", "B"])
    assert filled("get", "A", "--key", "file:third.key").code == 0


@pytest.mark.parametrize(("recipient", "code"), [("9", 3), ("1", 2), ("one", 2)])
def test_a_recipient_that_cannot_be_removed_is_an_error(filled: Cli, recipient: str, code: int) -> None:
    assert filled("rekey", "remove", recipient).code == code


def test_the_list_shows_no_key(filled: Cli, project: Path) -> None:
    result = filled("rekey", "list")
    assert "1\tfile:master.key\t" in result.out
    assert "record\taes-256-gcm\tprimary" in result.out
    assert (project / "master.key").read_text().strip() not in result.out

"""`set`, `rotate` and `rollback`, and where values come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import VALUE, Cli


def test_set_prints_the_version_to_stderr_and_not_the_value(store: Cli) -> None:
    assert store("set", "A", stdin=VALUE) == (0, "", "A: version 1\n", b"")
    made = json.loads(store("set", "A", "--json", stdin=VALUE).out)
    assert (made["name"], made["version"], made["expires"]) == ("A", 2, None)


@pytest.mark.parametrize(
    ("given", "options", "kept"),
    [
        (b"x\n", (), b"x"),
        (b"x\r\n", (), b"x"),
        (b"x\n\n", (), b"x\n"),
        (b"x\n", ("--raw",), b"x\n"),
        (b"x y ", (), b"x y "),
        ("ä€\u0000".encode(), (), "ä€\u0000".encode()),
        (b"\xff\n", (), b"\xff\n"),
    ],
)
def test_standard_input_loses_one_line_feed_unless_it_is_raw_or_bytes(
    store: Cli, given: bytes, options: tuple[str, ...], kept: bytes
) -> None:
    assert store("set", "A", *options, stdin=given).code == 0
    assert store("get", "A", "-n").raw == kept


def test_a_file_is_read_like_standard_input(store: Cli, project: Path) -> None:
    (project / "v").write_bytes(b"x\n")
    store("set", "A", "--file", "v")
    assert store("get", "A", "-n").out == "x"
    store("set", "A", "--file", "-", stdin=b"y\n")
    assert store("get", "A", "-n").out == "y"
    result = store("set", "A", "--file", "none")
    assert (result.code, result.err) == (2, "strongroom: none cannot be read: No such file or directory\n")


@pytest.mark.parametrize("stdin", [b"", b"\n"])
def test_an_empty_value_must_be_meant(store: Cli, stdin: bytes) -> None:
    result = store("set", "A", stdin=stdin)
    assert result.code == 2
    assert "--allow-empty" in result.err
    assert store("set", "A", "--allow-empty", stdin=stdin).code == 0
    assert store("get", "A").out == "\n"


def test_a_value_that_is_too_large_is_refused(store: Cli, project: Path) -> None:
    with (project / "large").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 2)
    result = store("set", "A", "--file", "large")
    assert result.code == 2
    assert "that is no secret's value" in result.err


def test_a_value_on_the_command_line_is_taken_with_a_warning(store: Cli) -> None:
    result = store("set", "A", "--value", "x", "--quiet")
    assert result.code == 0
    assert "process lists" in result.err
    assert store("get", "A").out == "x\n"


def test_generated_values_have_the_length_and_alphabet_asked_for(store: Cli) -> None:
    store("set", "A", "--generate")
    assert len(store("get", "A", "-n").out) == 32
    store("set", "A", "--generate", "--length", "20", "--alphabet", "hex")
    value = store("get", "A", "-n").out
    assert len(value) == 20
    assert set(value) <= set("0123456789abcdef")
    store("set", "A", "--generate", "--length", "8", "--alphabet", "words")
    assert store("get", "A", "-n").out.count("-") >= 7
    assert store("set", "A", "--generate", "--length", "3").code == 2
    assert store("set", "A", "--generate", "--length", "4", "--alphabet", "words").code == 2
    assert store("set", "A", "--length", "30", stdin="x").code == 2


def test_the_alphabets_are_those_of_the_generator() -> None:
    from strongroom.cli.values import ALPHABETS
    from strongroom.generate.generate import ALPHABETS as GENERATED
    from strongroom.generate.generate import WORDS

    assert (*GENERATED, WORDS) == ALPHABETS


@pytest.mark.parametrize(
    "options",
    [("--value", "x", "--generate"), ("--file", "f", "--generate"), ("--json-data", "--field", "a=-"),
     ("--field", "a=-", "--value", "x")],
)  # fmt: skip
def test_two_sources_exclude_each_other(store: Cli, options: tuple[str, ...]) -> None:
    result = store("set", "A", *options)
    assert result.code == 2
    assert "exclude each other" in result.err


def test_fields_come_from_a_json_object(store: Cli) -> None:
    assert store("set", "A", "--json-data", stdin='{"user": "me", "port": 1}').code == 0
    assert store("get", "A", "--field", "user").out == "me\n"


@pytest.mark.parametrize("document", ["", "[1]", '"x"', "{", f'{{"a": "{VALUE}"', "[" * 100_000, "{}"])
def test_what_is_no_json_object_is_refused_without_repeating_it(store: Cli, document: str) -> None:
    result = store("set", "A", "--json-data", stdin=document)
    assert result.code == 2
    assert VALUE not in result.err


def test_fields_come_from_files_and_standard_input(store: Cli, project: Path) -> None:
    (project / "user").write_text("me\n")
    assert store("set", "A", "--field", "user=@user", "--field", "password=-", stdin="x\n").code == 0
    assert store("get", "A", "--field", "user").out == "me\n"
    assert store("get", "A", "--field", "password").out == "x\n"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("a=x",), "takes - (prompt or standard input) or @PATH"),
        (("a",), "takes NAME=…, each name once"),
        (("=x",), "takes NAME=…, each name once"),
        (("a=-", "a=-"), "takes NAME=…, each name once"),
        (("a=-", "b=-"), "only one field can be read from standard input"),
        (("a=@none",), "none cannot be read"),
        (("a=@bytes",), "is not UTF-8 text"),
    ],
)
def test_fields_that_cannot_be_read_are_refused(
    store: Cli, project: Path, fields: tuple[str, ...], message: str
) -> None:
    (project / "bytes").write_bytes(b"\xff")
    result = store("set", "A", *(word for field in fields for word in ("--field", field)), stdin="x")
    assert result.code == 2
    assert message in result.err
    assert store("get", "A").code == 3


def test_a_prompt_asks_twice(store: Cli, terminal: Callable[..., list[str]]) -> None:
    asked = terminal("x", "x")
    assert store("set", "A").code == 0
    assert asked == ["Value of A: ", "The same again: "]
    assert store("get", "A").out == "x\n"


def test_two_answers_that_differ_change_nothing(store: Cli, terminal: Callable[..., list[str]]) -> None:
    terminal("x", "y")
    result = store("set", "A")
    assert (result.code, result.err) == (2, "strongroom: the two were not the same; nothing was changed\n")
    assert store("get", "A").code == 3


def test_cas_lets_only_one_writer_win(store: Cli) -> None:
    assert store("set", "A", "--cas", "0", stdin="x").code == 0
    result = store("set", "A", "--cas", "0", stdin="y")
    assert result.code == 7
    assert store("set", "A", "--cas", "1", stdin="z").code == 0
    assert store("get", "A").out == "z\n"


def test_expiry_metadata_and_retention_are_kept(store: Cli) -> None:
    store("set", "A", "--expires-in", "30d", "--custom", "a=b", "--custom", "c=d=e", "--max-versions", "2", stdin="x")
    known = json.loads(store("history", "A", "--json").out)
    assert known["custom"] == {"a": "b", "c": "d=e"}
    assert known["max_versions"] == 2
    assert known["versions"][0]["expires"] > known["versions"][0]["created"]


@pytest.mark.parametrize("span", ["", "30", "d", "-1d", "1y", "1.5h", "١d", "1d ", "999999999d", "0s"])
def test_a_span_that_is_none_is_refused(store: Cli, span: str) -> None:
    assert store("set", "A", f"--expires-in={span}", stdin="x").code == 2


def test_rotate_generates_a_value_and_prints_the_version_only(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    result = store("rotate", "A")
    assert result == (0, "", "A: version 2\n", b"")
    assert len(store("get", "A", "-n").out) == 32
    assert store("get", "A", "--version", "1").out == f"{VALUE}\n"


def test_rotate_takes_a_value_of_ones_own(store: Cli, project: Path, terminal: Callable[..., list[str]]) -> None:
    store("set", "A", stdin=VALUE)
    (project / "v").write_text("file")
    assert store("rotate", "A", "--prompt").code == 2
    for options, stdin, value in (
        (("--stdin",), "pipe\n", "pipe"), (("--file", "v"), "", "file"), (("--value", "x"), "", "x"),
    ):  # fmt: skip
        assert store("rotate", "A", *options, stdin=stdin).code == 0
        assert store("get", "A", "-n").out == value
    store("rotate", "A", "--length", "50")
    assert len(store("get", "A", "-n").out) == 50
    terminal("prompt", "prompt")
    assert store("rotate", "A", "--prompt").code == 0
    assert store("get", "A", "-n").out == "prompt"


def test_rotate_of_an_unknown_name_exits_with_3(store: Cli) -> None:
    assert store("rotate", "A").code == 3


def test_rollback_makes_an_older_value_the_current_one(store: Cli) -> None:
    store("set", "A", stdin="one")
    store("set", "A", stdin="two")
    assert store("rollback", "A", "1").err == "A: version 3\n"
    assert store("get", "A").out == "one\n"
    assert store("rollback", "A", "9").code == 3
    assert store("rollback", "A", "1", "--cas", "1").code == 7

"""From words to a command, and from an error to an exit code."""

from __future__ import annotations

import io
import json
import sys
import warnings

import pytest

import strongroom
from strongroom import errors
from strongroom.cli.arguments import Command
from strongroom.cli.commands import reading

from .conftest import VALUE, Cli


def tree(root: type[errors.StrongroomError]) -> list[type[errors.StrongroomError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setitem(reading.COMMANDS, "get", Command(run, "NAME", exits=(), description="", examples=""))


@pytest.mark.parametrize("kind", tree(errors.StrongroomError), ids=lambda kind: kind.__name__)
def test_every_error_is_one_line_and_its_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[errors.StrongroomError]
) -> None:
    raising(monkeypatch, kind("it is so\nand \x1b[31mso"))
    result = cli("get", "A")
    assert result == (kind.exit_code, "", "strongroom: it is so\\nand \\x1b[31mso\n", b"")


@pytest.mark.parametrize("kind", tree(errors.StrongroomError), ids=lambda kind: kind.__name__)
def test_with_json_every_error_is_a_json_object_on_stderr(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[errors.StrongroomError]
) -> None:
    raising(monkeypatch, kind("it is so"))
    for words in (("--json", "get", "A"), ("get", "A", "--json")):
        result = cli(*words)
        assert result.out == ""
        assert json.loads(result.err) == {"error": kind.code, "message": "it is so", "exit_code": kind.exit_code}


def test_ctrl_c_prints_nothing_and_exits_with_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert cli("get", "A") == (130, "", "", b"")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_fault_shows_its_type_and_place_but_not_its_words(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    raising(monkeypatch, RuntimeError(VALUE))
    result = cli(*options, "get", "A")
    assert result.code == 70
    assert "RuntimeError at test_main.py:" in result.err
    assert VALUE not in result.err
    assert result.out == ""


def test_a_fault_without_traceback_is_at_an_unknown_place() -> None:
    from strongroom.cli.process import place

    assert place(ValueError("x")) == "an unknown place"


def test_the_warnings_of_strongroom_are_lines_and_others_are_not_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object) -> None:
        warnings.warn("look out", strongroom.StrongroomWarning, stacklevel=1)
        warnings.warn("some library", DeprecationWarning, stacklevel=1)

    monkeypatch.setitem(reading.COMMANDS, "get", Command(run, "NAME", exits=(), description="", examples=""))
    assert cli("get", "A", "--quiet").err == "strongroom: warning: look out\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nonsense",), "there is no such command; `strongroom --help` lists them"),
        (("frobnicate",), "there is no such command; `strongroom --help` lists them"),
        (("rotat",), "did you mean `strongroom rotate`?"),
        (("audit", "lgo"), "did you mean `strongroom audit log`?"),
        (("rekey", "nonsense"), "`strongroom rekey` has no such command"),
        (("--nonsense",), "there is no option --nonsense here"),
        (("get",), "NAME is missing"),
        (("get", "A", "B"), "this command takes NAME, but 1 more came"),
        (("set", "A", VALUE), "a value is never an operand"),
        (("rotate", "A", VALUE), "a value is never an operand"),
        (("get", "A", "--version"), "--version needs a value: --version N"),
        (("get", "A", "--version", "two"), "--version takes a whole number"),
        (("get", "A", "--version", "9" * 12), "--version takes a whole number of at most 11 digits"),
        (("get", "A", "--version", "-1"), "--version takes a whole number"),
        (("get", "A", "--field", "--json"), "--field needs a value"),
        (("get", "A", "--json=yes"), "--json takes no value"),
        (("init", "--algorithm", "rot13"), "--algorithm takes one of: aes-256-gcm, fernet"),
        (("rollback", "A", "two"), "VERSION is a whole number"),
    ],
)
def test_a_call_that_cannot_be_right_says_why_and_exits_with_2(cli: Cli, words: tuple[str, ...], message: str) -> None:
    result = cli(*words)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""


@pytest.mark.parametrize("words", [("nonsense", "--json"), ("get", "--nonsense", "--json"), ("--json", "get")])
def test_a_call_that_cannot_be_right_is_json_wherever_that_is_asked_for(cli: Cli, words: tuple[str, ...]) -> None:
    assert json.loads(cli(*words).err)["error"] == "invalid_input"
    assert cli("nonsense", "--", "--json").err.startswith("strongroom: ")


@pytest.mark.parametrize(
    "words",
    [("set", "A", VALUE), ("get", f"-p{VALUE}"), ("set", f"--{VALUE}"), ("set", "A", f"--p={VALUE}"),
     ("get", "A", "--version", VALUE), ("init", "--algorithm", VALUE), (f"{VALUE}",), ("rekey", VALUE),
     ("set", "A", f"--{'x' * 50}{VALUE}")],
)  # fmt: skip
def test_a_value_in_the_wrong_place_is_not_repeated(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.code == 2
    assert VALUE not in result.err


def test_without_a_command_the_overview_goes_to_stderr(cli: Cli) -> None:
    assert cli().code == 2
    assert cli().out == ""
    assert "Commands:" in cli().err
    assert cli("audit").code == 2
    assert "audit verify" in cli("audit").err


@pytest.mark.parametrize("words", ["--help", "-h", "audit --help", "get --help", "--help get", "audit log -h"])
def test_help_goes_to_stdout(cli: Cli, words: str) -> None:
    result = cli(*words.split())
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: strongroom")


def test_version_is_printed(cli: Cli) -> None:
    assert cli("--version") == (0, f"strongroom {strongroom.__version__}\n", "", b"strongroom 0.1.0\n")
    assert cli("-V").code == 0


def test_global_options_stand_before_or_after_the_command(cli: Cli) -> None:
    key = ("--key", "file:other.key")
    assert cli("keygen", "-o", "other.key").code == 0
    assert cli("--store", "sqlite:a.db", *key, "init").code == 0
    assert cli(*key, "set", "A", "--store=sqlite:a.db", stdin=VALUE).code == 0
    assert cli("get", "A", *key, "--store", "sqlite:a.db").out == f"{VALUE}\n"


def test_two_dashes_end_the_options(store: Cli) -> None:
    assert store("set", "--", "-strange", stdin=VALUE).code == 0
    assert store("get", "--", "-strange").out == f"{VALUE}\n"


def test_quiet_leaves_remarks_out(store: Cli) -> None:
    assert store("set", "A", "-q", stdin=VALUE).err == ""
    assert store("set", "A", stdin=VALUE).err == "A: version 2\n"


def test_a_closed_stdout_is_an_error(store: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    store("set", "A", stdin=VALUE)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        result = store("get", "A")
    assert result.code == 1
    assert result.err == "strongroom: standard output is closed, so there is nowhere to print to\n"


def test_a_closed_stderr_is_no_error(store: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        assert store("set", "A", stdin=VALUE).code == 0


def test_an_unbuffered_stdout_that_takes_a_part_at_a_time_gets_all(store: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.BytesIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            return super().write(bytes(content)[:3])

    store("set", "A", stdin=VALUE)
    slow = io.TextIOWrapper(Slow(), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", slow)
        store("get", "A")
    assert slow.buffer.getvalue() == f"{VALUE}\n".encode()  # type: ignore[attr-defined]

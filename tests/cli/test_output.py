"""What is printed, and where."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output, counted, printable, styled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Show = Callable[[], Terminal]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Make standard error a terminal; a fixture that did so itself would be undone by pytest's capture."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def show() -> Terminal:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        return terminal

    return show


def output(**options: Any) -> Output:
    return Output(Arguments(**{"json": False, "quiet": False} | options))


def test_colours_are_for_terminals_that_want_them(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = show()
    assert styled("FAIL", "x", screen) == "\x1b[1;31mx\x1b[0m"
    assert styled("FAIL", "x", io.StringIO()) == "x"
    assert styled("FAIL", "x", None) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert styled("FAIL", "x", screen) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("FAIL", "x", screen) == "x"


def test_a_progress_bar_is_drawn_on_a_terminal_only(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = show()
    bar = output().progress("working")
    assert bar is not None
    bar(1, 2)
    bar(2, 2)
    assert "1/2" in screen.getvalue()
    assert screen.getvalue().endswith("2/2\n")
    assert output(quiet=True).progress("working") is None
    assert output(json=True).progress("working") is None
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert output().progress("working") is None


def test_a_table_is_aligned_on_a_terminal_and_tab_separated_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    output().rows(("A", "LONG"), [("xyz", None), (1, "b")])
    assert capsysbinary.readouterr().out == b"xyz\t-\n1\tb\n"
    monkeypatch.setattr(Output, "on_terminal", property(lambda self: True))
    output().rows(("A", "LONG"), [("xyz", None), (1, "b")])
    assert capsysbinary.readouterr().out == b"A    LONG\nxyz  -\n1    b\n"


def test_what_a_terminal_would_obey_is_shown_as_text() -> None:
    assert printable("a\x1b]0;x\x07\nb\u202e") == "a\\x1b]0;x\\x07\\nb\\u202e"
    assert printable("ä €") == "ä €"


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", None), ("", False)]
)
def test_a_question_takes_its_default_on_enter_and_the_end_of_the_input_as_a_no(
    show: Show, monkeypatch: pytest.MonkeyPatch, answer: str, agreed: bool | None
) -> None:
    screen = show()
    for default in (True, False):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert output().agrees("Shall it?", default=default) is (default if agreed is None else agreed)
    assert screen.getvalue().startswith("Shall it? [Y/n] ")


def test_a_human_is_asked_only_when_stdin_and_stderr_are_terminals(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    show()
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert output().can_ask
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert not output().can_ask
    monkeypatch.setattr(sys, "stdin", None)
    assert not output().can_ask


def test_one_thing_is_counted_as_one():
    assert [counted(number, "entry") for number in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert [counted(number, "file") for number in (1, 1000)] == ["1 file", "1,000 files"]

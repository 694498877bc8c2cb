"""The page of the command line says what the command line does."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from strongroom import errors
from strongroom.cli.arguments import GLOBAL, VERSION
from strongroom.cli.help_pages import EXIT_CODES
from strongroom.cli.overview import COMMANDS, GROUPS

from .pages import ALL, ROOT, blocks, rows, text


def test_the_command_line_page_is_what_its_script_writes():
    import runpy

    script = runpy.run_path(str(ROOT / "docs" / "command_line.py"))
    _, _, written = text("docs/command-line.md").partition(script["MARK"])
    assert written == script["render"](), "run `python docs/command_line.py`"


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^### (.+)\n", text("docs/command-line.md"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def flags(part: str) -> set[str]:
    return {
        flag
        for line in part.splitlines()
        if line.startswith("| `")
        for flag in re.findall(r"`(--[a-z-]+)", line.split(" | ")[0])
    }


def test_the_page_has_every_command_and_no_other():
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option_of_a_command_and_no_other(name):
    command = import_module(f"strongroom.cli.commands.{COMMANDS[name].module}").COMMANDS[name]
    assert flags(sections()[name]) == {option.flag for option in command.options if option.flag.startswith("--")}


def test_the_page_has_the_options_of_every_command():
    head = text("docs/command-line.md").partition("## Environment")[0]
    assert flags(head) == {option.flag for option in (*GLOBAL, VERSION)}


def test_the_page_has_every_exit_code():
    part = text("docs/command-line.md").partition("## Exit codes")[2].partition("## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", part, re.MULTILINE)} == set(EXIT_CODES)


def error_classes() -> set[type]:
    return {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_the_page_has_every_error_with_its_code_exit_code_and_http_status():
    shown = {row[0]: row[1:4] for row in rows("docs/command-line.md") if re.fullmatch("`[A-Za-z]+Error`", row[0])}
    real = {
        f"`{kind.__name__}`": [f"`{kind.code}`", str(kind.exit_code), str(kind.http_status)] for kind in error_classes()
    }
    assert shown == real


def commands_in(page: str) -> set[str]:
    """Return the commands that the shell blocks and the code spans of a page use."""
    code = [line.split(" #")[0] for block in blocks(page) if block.language == "sh" for line in block.code.splitlines()]
    code += re.findall(r"`(strongroom [^`]+)`", text(page))
    found = set()
    for words in re.findall(r"\bstrongroom ((?:-[-a-z]+ (?:[a-z_]+:\S* )?)*[a-z]+(?: [a-z]+)?)", "\n".join(code)):
        first, *rest = [word for word in words.split() if not word.startswith("-") and ":" not in word]
        found.add(f"{first} {rest[0]}" if first in GROUPS and rest else first)
    return found


@pytest.mark.parametrize("page", [page for page in ALL if page != "docs/format.md"])
def test_the_commands_that_a_page_uses_exist(page):
    assert commands_in(page) <= {*COMMANDS, *GROUPS}


def test_the_readme_lists_every_command():
    listed = re.search(r"\*\*Command line\*\*: `([^`]+)`", text("README.md"))[1].split()
    assert set(listed) == {name.split()[0] for name in COMMANDS}

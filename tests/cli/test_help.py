"""What must stay true together: the table, the modules, the pages, the exit codes, the completion."""

from __future__ import annotations

import shlex
from importlib import import_module

import pytest

from strongroom import errors
from strongroom.cli import help_pages
from strongroom.cli.arguments import GLOBAL, Arguments, Command, Option, bind, parse
from strongroom.cli.commands.running import NOT_EXECUTABLE, NOT_FOUND
from strongroom.cli.overview import ALIASES, COMMANDS, GROUPS
from strongroom.cli.program import CRASHED, INTERRUPTED, PIPE_CLOSED

from .test_main import tree


def command(name: str) -> Command:
    found: Command = import_module(f"strongroom.cli.commands.{COMMANDS[name].module}").COMMANDS[name]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_with_an_example_of_itself(name: str) -> None:
    page = help_pages.page(name, command(name))
    examples = page.partition("Examples:\n")[2]
    assert f"strongroom {name}" in examples
    assert command(name).description
    for option in command(name).options:
        assert option.flag in page


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_typed(name: str) -> None:
    for line in command(name).examples.splitlines():
        for part in line.replace("…", "x").split("|"):
            words = shlex.split(part.partition("   ")[0].replace("$(", " ").replace(")", " ").replace('"', ""))
            while "strongroom" in words:
                words = words[words.index("strongroom") + 1 :]
                read_example(words)


def read_example(words: list[str]) -> None:
    if "&&" in words:
        words = words[: words.index("&&")]
    if ">" in words:
        words = words[: words.index(">")]
    count = 2 if words[0] in GROUPS else 1
    found = command(" ".join(words[:count]))
    options = (*found.options, *GLOBAL)
    args = Arguments(**{option.attribute: option.absent for option in options})
    # What follows a short example in prose is no operand.
    operands = parse(options, words[count:], args, stop=found.rest)
    bind(found, operands if found.rest else operands[: max(len(found.operands), 0)] or operands, args)


@pytest.mark.parametrize("kind", tree(errors.StrongroomError), ids=lambda kind: kind.__name__)
def test_every_exit_code_of_the_error_tree_is_documented(kind: type[errors.StrongroomError]) -> None:
    assert kind.exit_code in help_pages.EXIT_CODES
    assert f"  {kind.exit_code} " in help_pages.overview()


def test_the_exit_codes_of_no_error_are_documented() -> None:
    assert {0, CRASHED, INTERRUPTED, PIPE_CLOSED, NOT_EXECUTABLE, NOT_FOUND} <= set(help_pages.EXIT_CODES)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_codes_of_a_page_are_in_the_table(name: str) -> None:
    assert set(command(name).exits) <= set(help_pages.EXIT_CODES)
    assert 0 in command(name).exits


def test_the_table_and_the_modules_name_the_same_commands() -> None:
    modules = {entry.module for entry in COMMANDS.values()}
    defined = {name for module in modules for name in import_module(f"strongroom.cli.commands.{module}").COMMANDS}
    assert defined == set(COMMANDS)


def test_the_overview_lists_every_command() -> None:
    for name, entry in COMMANDS.items():
        assert f"  {name} " in help_pages.overview()
        assert entry.summary in help_pages.overview()


def test_an_alias_is_another_name_of_a_command_and_its_page_says_so() -> None:
    for alias, name in ALIASES.items():
        assert alias not in COMMANDS
        assert f"Also called: {alias}" in help_pages.page(name, command(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_of_a_page_is_wider_than_120_characters(name: str) -> None:
    assert max(map(len, help_pages.page(name, command(name)).splitlines())) <= 120


def test_an_option_without_value_is_a_switch() -> None:
    assert Option("--a", "").absent is False
    assert Option("--a", "", "X").absent is None
    assert Option("--a", "", "X", many=True).absent == []

"""What may follow what on the command line, from the tables that it is read with: for completion."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from strongroom.cli import overview as commands
from strongroom.cli.arguments import GLOBAL, Command, Option
from strongroom.cli.overview import ALIASES, GROUPS

SHELLS = ("bash", "zsh", "fish")
FILES = ("SOURCE", "PATHS", "DIR", "COMMAND")
"""Operands that name files."""


def lines() -> dict[str, str]:
    """Return each way to call a command, and the command: `audit log`, and `ls` as well as `list`."""
    return {name: name for name in commands.COMMANDS} | ALIASES


def command_of(name: str) -> Command:
    """Return what is known of a command."""
    command: Command = import_module(f"strongroom.cli.commands.{commands.COMMANDS[name].module}").COMMANDS[name]
    return command


def options_of(name: str) -> list[Option]:
    """Return the options that a command takes, global ones first."""
    return list({option.flag: option for option in (*GLOBAL, *command_of(name).options)}.values())


def flags(options: Iterable[Option]) -> list[str]:
    """Return all spellings of the options."""
    return [flag for option in options for flag in (option.short, option.flag) if flag]


def first_words() -> dict[str, str]:
    """Return the words that begin a command line, each with what it is."""
    names = {line: commands.COMMANDS[name].summary for line, name in lines().items() if " " not in line}
    return dict(sorted((names | dict.fromkeys(GROUPS, "several commands")).items()))


def group_words(group: str) -> dict[str, str]:
    """Return the commands of a group, each with what it is."""
    return {
        name.partition(" ")[2]: entry.summary
        for name, entry in commands.COMMANDS.items()
        if name.startswith(f"{group} ")
    }


def operand_words(name: str) -> list[str]:
    """Return the words that stand for themselves in a place of the command's operands."""
    if name == "completion":
        return [*SHELLS]
    if name == "rotate":
        from strongroom.cli.commands.rotating import ACTIONS

        return [*ACTIONS]
    return []


def takes_files(name: str) -> bool:
    """True for a command whose operands name files."""
    return any(operand.strip("[].") in FILES for operand in command_of(name).operands)


def with_values(name: str) -> list[str]:
    """Return a command's own options, in all spellings, whose next word is their value."""
    return flags(option for option in command_of(name).options if option.metavar)

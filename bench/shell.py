"""The jobs of a shell: print one secret, start a program with secrets in its environment, and how soon Python is up."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from bench import processes
from bench.contenders import Missing
from bench.processes import Command
from bench.results import Row


class Commands(NamedTuple):
    """How a program does both jobs; None for one that it does not do."""

    get: Command | None
    """Prints the secret."""
    run: Callable[..., Command] | None
    """Returns the command that starts the program with these arguments and the secrets in its environment."""


class ShellContender(Protocol):
    """A command line tool."""

    label: str
    keeps: str

    def prepare(self, place: str, values: Mapping[str, str], name: str) -> Commands:
        """Keep `values` in the empty directory `place`; `name` is the secret to print. Raises `Missing`."""
        ...


class Prepared(NamedTuple):
    """A contender that is ready, or the reason why it is not."""

    key: str
    label: str
    keeps: str
    commands: Commands | None
    missing: str = ""


def prepare(contenders: Mapping[str, ShellContender], values: Mapping[str, str], scratch: str) -> list[Prepared]:
    """Let the contenders keep `values`, and see that each gives back the right one."""
    name = next(iter(values))
    prepared = []
    for key, contender in contenders.items():
        place = os.path.join(scratch, key)
        os.makedirs(place)
        try:
            commands = contender.prepare(place, values, name)
        except Missing as missing:
            prepared.append(Prepared(key, contender.label, contender.keeps, None, str(missing)))
            continue
        _verify(contender.label, commands, name, values[name])
        prepared.append(Prepared(key, contender.label, contender.keeps, commands))
    return prepared


def measure(entries: Sequence[tuple[Row, Command]], starts: int) -> list[Row]:
    """Race the programs, then look at the peak memory of each."""
    usages = processes.race([command for _, command in entries], starts)
    return [
        row._replace(wall=wall, cpu=cpu, peak=processes.peak_memory(command))
        for (row, command), (wall, cpu) in zip(entries, usages, strict=True)
    ]


def program(name: str) -> str:
    """Return the path of a program: beside this Python, or on the search path. Raises `Missing`."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise Missing(f"`{name}` is not installed")
    return found


def _verify(label: str, commands: Commands, name: str, value: str) -> None:
    """Raise unless both jobs give the right value."""
    printing = [commands.get, commands.run(program("printenv"), name) if commands.run else None]
    for command in printing:
        if command and processes.output(command) != value:
            raise RuntimeError(f"{label} does not give back what it was given")

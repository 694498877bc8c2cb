"""Starting programs, and what they took."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

from bench.harness import Samples, turns

# A child starts with the peak memory of the process that started it, so what starts it must be small.
_LAUNCHER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
_QUIET = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]


class Command(NamedTuple):
    """A program to start; `argv[0]` is a path."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


class Usage(NamedTuple):
    """Seconds from start to end, and of the processor (user and system, with all children)."""

    wall: float
    cpu: float


def race(commands: Sequence[Command], rounds: int) -> list[tuple[Samples, Samples]]:
    """Run the commands in turns; return wall and processor times of each."""
    usages: list[list[Usage]] = [[] for _ in commands]
    for turn in turns(len(commands), rounds):
        usages[turn].append(run(commands[turn]))
    return [(tuple(usage.wall for usage in each), tuple(usage.cpu for usage in each)) for each in usages]


def run(command: Command) -> Usage:
    """Run a program to its end without input and output."""
    start = perf_counter()
    pid = os.posix_spawn(command.argv[0], command.argv, command.env, file_actions=_QUIET)
    _, status, usage = os.wait4(pid, 0)
    wall = perf_counter() - start
    _check(command, os.waitstatus_to_exitcode(status))
    return Usage(wall, usage.ru_utime + usage.ru_stime)


def output(command: Command, timeout: float = 60) -> str:
    """Return what the program prints, without white space at its ends; `timeout` is in seconds."""
    done = subprocess.run(
        command.argv, env=command.env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout
    )
    _check(command, done.returncode, done.stderr)
    return done.stdout.strip()


def peak_memory(command: Command) -> int:
    """Return the peak resident memory of the program in bytes (of the largest, if it starts others)."""
    launcher = (sys.executable, "-I", "-S", "-c", _LAUNCHER, *command.argv)
    code, kib = output(Command(launcher, command.env)).split()
    _check(command, int(code))
    return int(kib) * 1024


def environment(home: str, **more: str) -> dict[str, str]:
    """Return a small environment, the same for all contenders; their settings of this machine stay out of it."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", **more}


def _check(command: Command, code: int, words: str = "") -> None:
    if code:
        raise RuntimeError(f"{os.path.basename(command.argv[0])} ended with exit code {code}: {words.strip()[-300:]}")

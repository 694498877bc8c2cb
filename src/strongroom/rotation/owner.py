"""Who runs a rotation now, and whether a process that is named in the store is still alive."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

LEASE = 60.0
"""Seconds that a process on another machine is given beyond its longest step before another may take over."""

_running: set[str] = set()
"""Tokens of the rotations that threads of this process are working on."""


class Process(NamedTuple):
    """A process, told apart from a later one with the same number."""

    host: str
    machine: str
    """Boot and process namespace: only where they are ours does a process number mean anything here."""
    pid: int
    started: int
    """Clock ticks after boot (Linux), 0 where it is not known."""

    @property
    def is_here(self) -> bool:
        """True when this process can see whether that one is alive."""
        return (self.host, self.machine) == (here().host, here().machine)

    @property
    def is_alive(self) -> bool:
        """True unless it is known to be gone; that of another machine counts as alive."""
        # 0: it is there, and the kernel does not say now since when.
        return not self.is_here or _start_time(self.pid) in (0, self.started)

    @property
    def is_stopped(self) -> bool:
        """True when it is known to be stopped, by a signal or a debugger."""
        try:
            return self.is_here and _state_and_start(self.pid)[0] in (b"T", b"t")
        except OSError:
            return False


class Owner(NamedTuple):
    """The process and thread that works on a rotation, until when it may be trusted to do so."""

    token: str
    process: Process
    until: float

    def is_working(self, now: float) -> bool:
        """True when nobody else may take over at `now`, seconds since 1970."""
        if not self.process.is_here:
            return now < self.until
        if self.process.pid == os.getpid():
            return self.token in _running
        return self.process.is_alive


def here() -> Process:
    """Return this process."""
    host, machine = _machine()
    return Process(host, machine, os.getpid(), _start_time(os.getpid()) or 0)


def claim(until: float) -> Owner:
    """Return a new owner: this thread, until `release` is called with its token."""
    token = os.urandom(8).hex()
    _running.add(token)
    return Owner(token, here(), until)


def release(token: str) -> None:
    """Say that this process works on that rotation no more."""
    _running.discard(token)


@cache
def _machine() -> tuple[str, str]:
    # Containers may share a host name and see other processes under the same numbers.
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            machine = f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        machine = ""
    return os.uname().nodename, machine


def started_at(pid: int) -> float | None:
    """Return when a process of this machine started, seconds since 1970; None when it is gone."""
    ticks = _start_time(pid)
    return None if ticks is None else _booted() + ticks / os.sysconf("SC_CLK_TCK")


def _booted() -> float:
    try:
        with open("/proc/stat", "rb") as file:
            line = next(line for line in file if line.startswith(b"btime "))
    except (OSError, StopIteration):
        return 0.0
    return float(line.split()[1])


def _start_time(pid: int) -> int | None:
    """Return when a process started, None when it is gone or has only its exit code left."""
    try:
        state, started = _state_and_start(pid)
    except OSError:
        return _signalled(pid)
    if not state:
        return None if os.path.exists("/proc/self/stat") else _signalled(pid)
    return None if state in (b"Z", b"X") else started


def _state_and_start(pid: int) -> tuple[bytes, int]:
    """Return what the kernel says of a process; no state when it says nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The program's name may hold anything, a parenthesis too: the fields after it are counted from the last.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return b"", 0
    return fields[0], int(fields[19])


def _signalled(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0

"""Lets the nth system call of a forked child fail, for real, as a full disk or an exhausted limit does (Linux, x86-64).

The child says where the stretch begins and ends that counts. The call is not done, and returns the error.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import platform
import signal
from collections.abc import Callable
from typing import NamedTuple

from . import kill

_PEEKDATA, _GETREGS, _SETREGS, _DETACH, _SYSCALL, _SETOPTIONS = 2, 12, 13, 17, 24, 0x4200
_EXITKILL, _MARK_SYSCALLS = 1 << 20, 1
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_RESULT, _NUMBER, _SECOND, _THIRD, _FIFTH = 10, 15, 13, 12, 9
"""Places of registers in `user_regs_struct`; the arguments are in rdi, rsi, rdx, r10, r8."""
_NOTHING = ctypes.c_ulonglong(-1).value
_MARK = 124
"""getsid, which nothing here calls otherwise: the stretch begins or ends."""

_DISK, _OPEN, _NAMES = ("EIO", "ENOSPC", "EDQUOT"), ("EMFILE", "EACCES", "EIO", "ENOMEM"), ("EIO", "EACCES", "ENOSPC")
CALLS: dict[int, tuple[str, tuple[str, ...]]] = {
    0: ("read", ("EIO",)), 17: ("pread64", ("EIO",)),
    1: ("write", (*_DISK, "EINTR")), 18: ("pwrite64", (*_DISK, "EINTR")), 20: ("writev", (*_DISK, "EINTR")),
    2: ("open", (*_OPEN, "EINTR")), 257: ("openat", (*_OPEN, "EINTR")),
    4: ("stat", ("EACCES", "EIO")), 5: ("fstat", ("EIO",)), 6: ("lstat", ("EACCES", "EIO")),
    262: ("newfstatat", ("EACCES", "EIO")), 9: ("mmap", ("ENOMEM", "EACCES")), 25: ("mremap", ("ENOMEM",)),
    32: ("dup", ("EMFILE",)), 72: ("fcntl", ("ENOLCK", "EINTR", "EIO")), 73: ("flock", ("ENOLCK", "EINTR")),
    74: ("fsync", ("EIO", "ENOSPC", "EINTR")), 75: ("fdatasync", ("EIO", "ENOSPC")),
    77: ("ftruncate", ("EIO", "ENOSPC", "EINTR")), 285: ("fallocate", ("EIO", "ENOSPC", "EOPNOTSUPP")),
    82: ("rename", _NAMES), 264: ("renameat", _NAMES), 316: ("renameat2", _NAMES),
    86: ("link", (*_NAMES, "EMLINK")), 265: ("linkat", (*_NAMES, "EMLINK")), 88: ("symlink", _NAMES),
    266: ("symlinkat", _NAMES), 83: ("mkdir", _NAMES), 258: ("mkdirat", _NAMES), 84: ("rmdir", ("EIO", "EACCES")),
    87: ("unlink", ("EIO", "EACCES")), 263: ("unlinkat", ("EIO", "EACCES")), 217: ("getdents64", ("EIO",)),
    90: ("chmod", ("EIO", "EPERM")), 91: ("fchmod", ("EIO", "EPERM")), 268: ("fchmodat", ("EIO", "EPERM")),
    93: ("fchown", ("EIO",)), 56: ("clone", ("EAGAIN",)), 435: ("clone3", ("EAGAIN",)),
}  # fmt: skip
"""Number → name and the errors that it may end with."""
_MMAP, _FCNTL, _FLOCK = 9, 72, 73


class Registers(ctypes.Structure):
    _fields_ = [("all", ctypes.c_ulonglong * 27)]


class Outcome(NamedTuple):
    """What became of a child."""

    calls: list[str]
    """The calls that count, in their order, up to the one that failed."""
    hit: bool
    said: bytes


def mark() -> None:
    """Say in the child that the stretch begins, and again that it ends."""
    os.getsid(0)


def at(number: int, error: str, work: Callable[[int], None]) -> Outcome:
    """Fork; let the child do `work(descriptor of a pipe)`, where the `number`th call that counts fails with `error`.

    From 1; a number that is too high lets none fail.
    """
    pid, said = kill._fork(work, traced=True)
    os.waitpid(pid, 0)
    kill._ptrace(_SETOPTIONS, pid, _EXITKILL | _MARK_SYSCALLS)
    calls: list[str] = []
    hit = counts = False
    while not hit:
        call, status = _next_call(pid)
        if call is None:
            return Outcome(calls, hit, kill._report(status, said).said)
        if call == _MARK and counts:
            break
        counts = counts or call == _MARK
        name = _name(call, pid) if counts else ""
        if name:
            calls.append(name)
            hit = len(calls) == number
        if hit:
            _set(pid, _NUMBER, _NOTHING)
        _stop(pid)
        if hit:
            _set(pid, _RESULT, ctypes.c_ulonglong(-getattr(errno, error)).value)
    kill._ptrace(_DETACH, pid, 0)
    return Outcome(calls, hit, kill._bury(pid, said).said)


def _next_call(pid: int) -> tuple[int | None, int]:
    """Let the child go on until it begins a call; return the call, None when it ends, and its status."""
    status = _stop(pid)
    return (_registers(pid).all[_NUMBER] if os.WIFSTOPPED(status) else None), status


def _stop(pid: int) -> int:
    pending = 0
    while True:
        kill._ptrace(_SYSCALL, pid, pending)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) == _SYSCALL_STOP:
            return status
        pending = os.WSTOPSIG(status)


def _name(call: int, pid: int) -> str:
    """Return the name of a call that counts.

    Memory that is no file's does not (Python has no word for its lack), nor what cannot fail: to let go of a lock, or
    to ask of a descriptor what it is.
    """
    if call not in CALLS:
        return ""
    registers = _registers(pid).all
    if call == _MMAP and ctypes.c_int(registers[_FIFTH]).value < 0:
        return ""
    if call == _FCNTL:
        lock = registers[_SECOND] in (fcntl.F_SETLK, fcntl.F_SETLKW)
        if not lock or kill._libc.ptrace(_PEEKDATA, pid, registers[_THIRD], None) & 0xFFFF == fcntl.F_UNLCK:
            return ""
    if call == _FLOCK and registers[_SECOND] & fcntl.LOCK_UN:
        return ""
    return CALLS[call][0]


def _registers(pid: int) -> Registers:
    registers = Registers()
    kill._ptrace(_GETREGS, pid, ctypes.addressof(registers))
    return registers


def _set(pid: int, register: int, value: int) -> None:
    registers = _registers(pid)
    registers.all[register] = value
    kill._ptrace(_SETREGS, pid, ctypes.addressof(registers))


def errors_of(name: str) -> tuple[str, ...]:
    return next(errors for known, errors in CALLS.values() if known == name)


@functools.cache
def why_not() -> str:
    """Say what keeps us from letting calls fail here; empty when nothing does."""
    if platform.machine() != "x86_64":
        return "failing calls are written for x86-64"
    return "" if kill.can_trace() else "this machine does not let a process trace its child (ptrace)"

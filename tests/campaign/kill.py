"""Kills a forked child for real: after a time, or at its nth system call (Linux, through ptrace)."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_EXITKILL, _MARK_SYSCALLS = 1 << 20, 1
_SYSCALL_STOP = signal.SIGTRAP | 0x80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Death(NamedTuple):
    """How a child ended."""

    killed: bool
    """False when it ended by itself, before its time."""
    said: bytes
    """What it wrote to the pipe until then."""


def after(seconds: float, work: Callable[[int], None], *, first_word: bool) -> Death:
    """Fork, let the child do `work(descriptor of a pipe)`, and kill it after `seconds`.

    They count from the fork, or with `first_word` from when the child first says something.
    """
    pid, said = _fork(work, traced=False)
    if first_word:
        select.select([said], [], [], 30)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return _bury(pid, said)


def at_syscall(number: int, work: Callable[[int], None]) -> Death:
    """Fork, and kill the child as it enters or leaves its system calls for the `number`th time."""
    pid, said = _fork(work, traced=True)
    os.waitpid(pid, 0)
    _ptrace(_SETOPTIONS, pid, _EXITKILL | _MARK_SYSCALLS)
    pending = 0
    while number > 0:
        _ptrace(_SYSCALL, pid, pending)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return _report(status, said)
        stop = os.WSTOPSIG(status)
        pending = 0 if stop == _SYSCALL_STOP else stop
        number -= stop == _SYSCALL_STOP
    os.kill(pid, signal.SIGKILL)
    return _bury(pid, said)


def can_trace() -> bool:
    """Tell whether this machine lets a process trace its child."""
    try:
        return at_syscall(1, lambda pipe: None).killed
    except OSError:
        return False


def _fork(work: Callable[[int], None], *, traced: bool) -> tuple[int, int]:
    said, pipe = os.pipe()
    pid = os.fork()
    if pid:
        os.close(pipe)
        return pid, said
    code = 1
    try:
        os.close(said)
        if traced:
            _ptrace(_TRACEME, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        work(pipe)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _ptrace(request: int, pid: int, data: int) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def _bury(pid: int, said: int) -> Death:
    return _report(os.waitpid(pid, 0)[1], said)


def _report(status: int, said: int) -> Death:
    with open(said, "rb") as file:
        words = file.read()
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.waitstatus_to_exitcode(status) == 0, f"the child failed by itself: {status}"
    return Death(killed, words)

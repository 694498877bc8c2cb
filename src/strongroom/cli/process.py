"""What strongroom asks of its own process, before it holds a secret."""

from __future__ import annotations

import os
import resource

_core = resource.getrlimit(resource.RLIMIT_CORE)


def harden() -> None:
    """Switch core dumps off, and keep the numbers of closed standard streams from being given to a store's file."""
    # 1 and not 0: the kernel hands a core of limit 0 to a program named in core_pattern all the same, one of limit 1
    # to nobody (core(5) and fs/coredump.c).
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, _core[1]) if _core[1] >= 0 else 1, _core[1]))
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def soften() -> None:
    """Give the core limit back: the program that `run` becomes is not ours to restrict."""
    resource.setrlimit(resource.RLIMIT_CORE, _core)


def place(error: BaseException) -> str:
    """Return where the exception was raised, as file:line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def core_limit() -> int:
    """Return the limit of core dumps that this process was started with."""
    return _core[0]

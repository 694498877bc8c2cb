"""Threads, where a process may have no more of them."""

from __future__ import annotations

import threading

from strongroom.errors import StrongroomError


def start(thread: threading.Thread) -> None:
    """Start a thread; raises `StrongroomError` when the system lets this process have no more of them."""
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        raise StrongroomError(
            "no thread can be started: this process, its user or its container has as many as it may; end some, or "
            "raise the limit (ulimit -u, TasksMax of a service, the pids limit of a container)"
        ) from None

"""The command line. Here: how a program starts, and ends."""

from __future__ import annotations

from collections.abc import Sequence


def script() -> None:
    """Run one command as a program of its own, and end the process."""
    import gc
    import os
    import sys

    # Nothing that a command makes is worth collecting before it ends, and looking for it while modules are loaded
    # takes a twentieth of the time of `strongroom get`.
    gc.disable()
    code = main()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        pass
    # The store is closed and the output flushed; taking the interpreter apart module by module would take a sixth.
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from strongroom.cli.program import main

    return main(argv)

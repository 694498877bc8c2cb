"""A command at a terminal, with somebody who types at its prompts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


def run(command: Sequence[str], environ: dict[str, str], typed: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and all that was shown. Each prompt gets the next of `typed` and a line feed."""
    ours, its = os.openpty()
    # A session of its own: passwords are asked for at the controlling terminal, which must not be that of the tests.
    with subprocess.Popen(command, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        os.close(its)
        shown, asked = "", 0
        while piece := _read(ours):
            shown += piece
            if shown[asked:].rstrip("\n").endswith((": ", "] ")) and typed:
                os.write(ours, typed[0].encode() + b"\n")
                typed, asked = typed[1:], len(shown)
        process.wait(timeout=60)
    os.close(ours)
    return process.returncode, shown.replace("\r\n", "\n")


def _read(descriptor: int) -> str:
    try:
        return os.read(descriptor, 4096).decode()
    except OSError:  # the last process has closed its side
        return ""

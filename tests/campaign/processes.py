"""What comes of a driver that runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest


def result(process: subprocess.Popen[bytes], timeout: float) -> Any:
    """Return the JSON that a driver printed; fail with its traceback, or when it takes longer (a deadlock)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{process.args} did not end within {timeout:g} s")
    assert process.returncode == 0, err.decode(errors="replace")
    return json.loads(out)

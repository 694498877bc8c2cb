"""What the campaigns share: a fast directory, and a way to run a driver module in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on tmpfs where there is one, as thousands of fsyncs are not what is tested."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="strongroom-", dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def start(master_key) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `python -m campaign.MODULE ARGUMENTS…`; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"campaign.{module}", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(TESTS)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def result(process: subprocess.Popen[bytes], timeout: float) -> Any:
    """Return the JSON that a driver printed; fail with its traceback, or when it takes longer (a deadlock)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{process.args} did not end within {timeout:g} s")
    assert process.returncode == 0, err.decode(errors="replace")
    return json.loads(out)

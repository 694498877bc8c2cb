"""What the campaigns share: a fast directory, and a way to run a driver module in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = __package__ or ""
ABOVE = Path(__file__).parents[len(PACKAGE.split("."))]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on tmpfs where there is one, as thousands of fsyncs are not what is tested."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="strongroom-", dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def start(master_key) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a driver module of this package in a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"{PACKAGE}.{module}", *map(str, arguments)]
        paths = [str(ABOVE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        # Not measured under coverage: what is killed at each of its system calls must make none but its own.
        environment.pop("COVERAGE_PROCESS_CONFIG", None)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()

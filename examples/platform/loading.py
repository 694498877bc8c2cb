"""Runs the load generator beside the platform, and reads what it counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

from running import HERE, PATIENCE, Platform

AUTHOR = "ada"
RATE = 600
"""Requests a second that are asked for, over the three services with pools together."""


class Counts(NamedTuple):
    """What the load has done since it began."""

    requests: int
    failed: int
    failures: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


class Load:
    """A steady load; a context manager that ends it."""

    def __init__(self, platform: Platform, token: str, diagram: int, rate: float = RATE) -> None:
        self._task = {"rate": rate, "requests": requests(platform, token, diagram)}
        self._newest: dict[str, Any] = {"requests": {}, "failed": {}, "failures": []}
        self._began = self._last = time.monotonic()

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        # Through a pipe: it holds a token, and a command line can be read by everybody on the machine.
        self._process.stdin.write(json.dumps(self._task) + "\n")
        self._process.stdin.flush()
        self._began = self._last = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> Counts:
        """Let the last requests be answered, end the load, and return what it did."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(2 * PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reader.join()
        return self.counts()

    def counts(self) -> Counts:
        """Return what has been done until the newest word of the load generator, at most a second ago."""
        newest = self._newest
        return Counts(
            sum(newest["requests"].values()), sum(newest["failed"].values()), newest["failures"],
            self._last - self._began,
        )  # fmt: skip

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._newest, self._last = json.loads(line), time.monotonic()


def requests(platform: Platform, token: str, diagram: int) -> list[dict[str, Any]]:
    """Return what is asked of the three services: reads and writes, each with a query of its own."""
    bearer = {"Authorization": f"Bearer {token}"}
    new = json.dumps({"title": "under load", "body": "a -> b"})
    kinds = (
        ("auth-service", "GET", "/verify", bearer, None),
        ("diagram-service", "GET", f"/diagrams/{diagram}", {}, None),
        ("diagram-service", "POST", "/diagrams", {"X-User": "load"}, new),
        ("export-service", "GET", f"/exports/{AUTHOR}", {}, None),
    )
    return [
        {"service": service, "url": platform.urls[service], "method": method, "path": path, "headers": headers,
         "body": body}
        for service, method, path, headers, body in kinds
    ]  # fmt: skip

"""Puts a steady load on services, over HTTP connections that stay open, until its standard input ends.

Its input's first line is JSON: {"rate": requests a second, "requests": [{"service", "url", "method", "path", "headers",
"body"}]}. Each second, and at the end, it prints what has happened so far: requests and failures of each service, and
the first failures in words. An answer that is not 200, or none, is a failure; no request is sent twice.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

WORKERS = 4
"""Connections for each kind of request."""
PATIENCE = 120.0
"""Seconds for one answer: a service that is stopped for a while is slow, and has not failed."""
BEHIND = 0.5
"""Seconds of missed requests that a worker makes up for, so that the load is steady and no flood."""


class Load:
    """What the workers have done so far."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.requests: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def count(self, service: str, failure: str | None) -> None:
        """Enter one request."""
        with self._lock:
            self.requests[service] += 1
            if failure is not None:
                self.failed[service] += 1
                if len(self.failures) < 20:
                    self.failures.append(f"{time.strftime('%H:%M:%S')} {service}: {failure}")

    def say(self) -> None:
        """Print it all."""
        with self._lock:
            line = {"requests": self.requests, "failed": self.failed, "failures": self.failures}
            print(json.dumps(line), flush=True)


def work(load: Load, request: dict[str, Any], every: float) -> None:
    """Send a request again and again, `every` so many seconds."""
    connection = HTTPConnection(urlsplit(request["url"]).netloc, timeout=PATIENCE)
    due = time.monotonic()
    while not load.stop.wait(max(0.0, due - time.monotonic())):
        load.count(request["service"], send(connection, request))
        due = max(due + every, time.monotonic() - BEHIND)


def send(connection: HTTPConnection, request: dict[str, Any]) -> str | None:
    """Send one request; return what went wrong, or None."""
    try:
        if connection.sock is None:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request(request["method"], request["path"], request["body"], request["headers"])
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return f"{type(error).__name__}: {error}"
    return None if answer.status == 200 else f"status {answer.status}: {content[:200]!r}"


def main() -> None:
    """Work until the input ends."""
    task = json.loads(sys.stdin.readline())
    load, every = Load(), WORKERS * len(task["requests"]) / task["rate"]
    workers = [
        threading.Thread(target=work, args=(load, request, every), daemon=True)
        for request in task["requests"] for _ in range(WORKERS)
    ]  # fmt: skip
    for worker in workers:
        worker.start()
        time.sleep(every / len(workers))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.wait(1.0):
        load.say()
    load.stop.set()
    for worker in workers:
        worker.join(PATIENCE)
    load.say()


if __name__ == "__main__":
    main()

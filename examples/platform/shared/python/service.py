"""What the eight services share: a small HTTP server that answers in JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Request(NamedTuple):
    """What a handler is given."""

    rest: str
    """The path after the first word: `7` of `/diagrams/7`."""
    query: str
    headers: Any
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body's object; raises `Refusal`."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refusal(400, "send one JSON object")
        return found

    @property
    def bearer(self) -> str:
        """The token of the header Authorization, empty where there is none."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ")


class Refusal(Exception):
    """Answers a request with a status of 400 or more."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Answer(NamedTuple):
    """What goes back."""

    status: int
    kind: str
    content: bytes

    @classmethod
    def of(cls, found: Any, status: int = 200) -> Answer:
        """Make an answer of JSON, text or bytes; one that is an answer already stays as it is."""
        if isinstance(found, Answer):
            return found
        if isinstance(found, bytes):
            return cls(status, "application/octet-stream", found)
        if isinstance(found, str):
            return cls(status, "text/plain; charset=utf-8", found.encode())
        return cls(status, "application/json", json.dumps(found).encode())


Handler = Callable[[Request], Any]


class Service:
    """Routes a method and the first word of a path to a function, which returns what `Answer.of` takes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: dict[tuple[str, str], Handler] = {("GET", "health"): self._health}

    def get(self, word: str) -> Callable[[Handler], Handler]:
        """Answer `GET /word/…` with the function below."""
        return self._route("GET", word)

    def post(self, word: str) -> Callable[[Handler], Handler]:
        """Answer `POST /word/…` with the function below."""
        return self._route("POST", word)

    def put(self, word: str) -> Callable[[Handler], Handler]:
        """Answer `PUT /word/…` with the function below."""
        return self._route("PUT", word)

    def run(self) -> None:
        """Serve on $PORT until SIGTERM or SIGINT."""
        # Handlers of signals must not wait for the thread that serves, which is this one.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server = _Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), _Connection)
        server.service = self
        server.serve_forever(poll_interval=0.1)
        server.server_close()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """Return what the function of this method and path returns, or why there is none."""
        url = urlsplit(path)
        word, _, rest = url.path.lstrip("/").partition("/")
        try:
            handler = self._handlers.get((method, word))
            if handler is None:
                raise Refusal(404, f"{self.name} has no {method} /{word}")
            return Answer.of(handler(Request(rest, url.query, headers, body)))
        except Refusal as refusal:
            return Answer.of({"error": str(refusal)}, refusal.status)
        except Exception as error:
            # Without its text: the errors of libraries like to quote what they were given.
            print(f"{self.name}: {method} /{word}: {type(error).__name__}", file=sys.stderr, flush=True)
            return Answer.of({"error": type(error).__name__}, 500)

    def _route(self, method: str, word: str) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self._handlers[method, word] = handler
            return handler

        return keep

    def _health(self, _: Request) -> dict[str, Any]:
        return {"service": self.name, "pid": os.getpid()}


class _Server(ThreadingHTTPServer):
    service: Service
    daemon_threads = True
    request_queue_size = 128


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.service.answer(self.command, self.path, self.headers, body)
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = _serve

    def log_message(self, *_: object) -> None:
        """Say nothing: secrets are what this example is about, and its audit log is elsewhere."""

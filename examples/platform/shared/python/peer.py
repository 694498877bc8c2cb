"""A client for another service, whose address is in the environment."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from shared.python.service import Answer, Refusal


class Peer:
    """Another service, at the address in $NAME_URL; each thread keeps a connection to it."""

    def __init__(self, name: str) -> None:
        self._variable = f"{name.replace('-', '_').upper()}_URL"
        self._local = threading.local()

    def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send a request; raises `OSError` and `HTTPException`."""
        connection = self._connection()
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers["Content-Type"], answer.read())
        except BaseException:
            connection.close()
            raise

    def json(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send and receive JSON; raises `Refusal` with the other's status when that is not 200."""
        answer = self.call(method, path, b"" if value is None else json.dumps(value).encode(), headers)
        found = json.loads(answer.content)
        if answer.status != 200:
            raise Refusal(answer.status, found.get("error", "refused"))
        return found

    def _connection(self) -> HTTPConnection:
        found: HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = HTTPConnection(urlsplit(os.environ[self._variable]).netloc, timeout=120)
            self._local.connection = found
        if found.sock is None:
            found.connect()
            found.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

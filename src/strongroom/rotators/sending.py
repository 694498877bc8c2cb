"""How values are sent over HTTP: to where the URL leads, and nowhere else, and within a time."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from threading import Timer
from typing import Any, NamedTuple
from urllib.request import HTTPErrorProcessor, HTTPHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from strongroom.rotators.servers import is_local


class Answer(NamedTuple):
    """What came back."""

    status: int
    content: bytes
    """At most one byte more than was asked for."""
    encoding: str
    retry_after: str | None


class Exchange:
    """One request, which another thread can end."""

    def __init__(self) -> None:
        self.is_open = False
        """True once the other end is who it should be, and so may have got the request."""
        self.is_ended = False
        self._socket: socket.socket | None = None

    def send(self, request: Request, seconds: float, most: int, *, use_proxies: bool, tls: Any) -> Answer:
        """Return the answer and up to `most` bytes of it; raises `OSError` and `HTTPException`.

        `seconds` bound all of it, however slowly the answer drips. `tls` is an `ssl.SSLContext`.
        """
        # The handler of proxies turns `https://` into a tunnel through the proxy, by which it reads nothing.
        proxies = ProxyHandler() if use_proxies else ProxyHandler({})
        opener = build_opener(proxies, _Plain, _InTheClear(self), _Encrypted(self, tls))
        timer = Timer(seconds, self.end)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread to be had: each read has its time all the same
            timer.start()
        try:
            with opener.open(request, timeout=seconds) as found:
                return _read(found, most)
        finally:
            timer.cancel()
            if self._socket is not None:
                self._socket.close()

    def end(self) -> None:
        """End the connection, whatever it is at."""
        self.is_ended = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, *arguments: Any, **options: Any) -> socket.socket:
        """Connect, as `socket.create_connection` does."""
        made = socket.create_connection(*arguments, **options)
        # Another descriptor of the same connection: TLS takes the first one over.
        self._socket = made.dup()
        if self.is_ended:
            self.end()
        return made


def _read(found: HTTPResponse, most: int) -> Answer:
    content = found.read(most + 1)
    if found.length and len(content) <= most:
        raise IncompleteRead(b"", found.length)
    encoding = (found.headers.get("Content-Encoding") or "identity").strip().lower()
    return Answer(found.status, content, encoding, found.headers.get("Retry-After"))


class _Here(HTTPConnection):
    """A connection in the clear: to this machine, whatever its name server says of `localhost`."""

    def __init__(self, *arguments: Any, exchange: Exchange, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = exchange.connect
        self._exchange = exchange

    def connect(self) -> None:
        """Connect; raises `ConnectionRefusedError` when the other end is elsewhere, before anything is sent."""
        super().connect()
        address = self.sock.getpeername()[0]
        if not is_local(address):
            self.close()
            raise ConnectionRefusedError
        self._exchange.is_open = True


class _There(HTTPSConnection):
    """A connection by TLS."""

    def __init__(self, *arguments: Any, exchange: Exchange, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = exchange.connect
        self._exchange = exchange

    def connect(self) -> None:
        """Connect, and see the certificate."""
        super().connect()
        self._exchange.is_open = True


class _InTheClear(HTTPHandler):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def http_open(self, request: Request) -> HTTPResponse:
        """Open `http://`."""
        return self.do_open(partial(_Here, exchange=self._exchange), request)


class _Encrypted(HTTPSHandler):
    def __init__(self, exchange: Exchange, tls: Any) -> None:
        super().__init__(context=tls)
        self._exchange = exchange
        self._tls = tls

    def https_open(self, request: Request) -> HTTPResponse:
        """Open `https://`."""
        return self.do_open(partial(_There, exchange=self._exchange), request, context=self._tls)


class _Plain(HTTPErrorProcessor):
    """Every answer is one: redirects are not followed, and nobody is asked for passwords."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        """Return the answer as it is."""
        return response

    https_response = http_response

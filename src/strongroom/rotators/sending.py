"""How values are sent over HTTP: to where the URL leads, and nowhere else."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.request import HTTPHandler, HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from strongroom.rotators.servers import is_local


class _Here(HTTPConnection):
    """A connection in the clear: to this machine, whatever its name server says of `localhost`."""

    def connect(self) -> None:
        """Connect; raises `ConnectionRefusedError` when the other end is elsewhere, before anything is sent."""
        super().connect()
        address = self.sock.getpeername()[0]
        if not is_local(address):
            self.close()
            raise ConnectionRefusedError


class _InTheClear(HTTPHandler):
    def http_open(self, request: Request) -> HTTPResponse:
        """Open `http://`."""
        return self.do_open(_Here, request)


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


def opener(*, use_proxies: bool) -> OpenerDirector:
    """Return what opens a URL; the proxies are those of the environment, used for `https://` only."""
    # The handler of proxies turns `https://` into a tunnel through the proxy, by which it reads nothing.
    proxies = ProxyHandler() if use_proxies else ProxyHandler({})
    return build_opener(proxies, _Stay, _InTheClear)

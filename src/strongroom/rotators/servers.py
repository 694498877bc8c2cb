"""Where a server is: `//user@host:port/path?option=…`, and how to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from strongroom.errors import ConfigError
from strongroom.rotators.values import options


class Place(NamedTuple):
    """What a URL says."""

    host: str
    port: int | None
    user: str | None
    path: str
    given: dict[str, str]
    """Its options."""

    def known_as(self, scheme: str, port: int) -> str:
        """Return the server, in the same words for each of its usual names."""
        host = "localhost" if is_local(self.host) else self.host.lower().rstrip(".")
        return f"{scheme}://{host}:{self.port or port}"


def place(scheme: str, rest: str, known: set[str]) -> Place:
    """Read the rest of a URL after `scheme:`; raises `ConfigError`, also when it holds a password."""
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        host, port, user = None, None, None
    if not host or parts.password or parts.fragment:
        raise ConfigError(f"{scheme}: is written {scheme}://host:port?option=…, without a password")
    given = options(parts.query, known, f"{scheme}:")
    return Place(host, port, None if user is None else unquote(user), unquote(parts.path.strip("/")), given)


def places(scheme: str, rest: str, known: set[str]) -> list[Place]:
    """Read a URL with one host, or with several and commas between them; raises `ConfigError` as `place` does."""
    lead, at, hosts = rest.partition("?")[0].rpartition("@")
    slashes = "" if at else "//"
    hosts = hosts.removeprefix("//").partition("/")[0]
    head, tail = f"{slashes}{lead}{at}", rest[len(f"{slashes}{lead}{at}") + len(hosts) :]
    return [place(scheme, f"{head}{host}{tail}", known) for host in hosts.split(",")]


def is_local(host: str) -> bool:
    """True for a host that is this machine by its name or address: nothing leaves it on the way there."""
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def authorities(host: str, given: Mapping[str, str]) -> str | None:
    """Return who vouches for a server: `system`, the PATH of a file of authorities, or None for a talk in the clear.

    The option `tls` says it. Without it a server on another host must prove who it is; one on this machine need not.
    """
    where = given.get("tls", "no" if is_local(host) else "system")
    return None if where == "no" else where


def tls_context(where: str | None) -> Any:
    """Return an `ssl.SSLContext` for what `authorities` returned, or None.

    Raises `ConfigError` for a file that cannot be read.
    """
    if where is None:
        return None
    import ssl

    try:
        return ssl.create_default_context(cafile=None if where == "system" else where)
    except OSError:
        raise ConfigError("tls is system, no, or the path of a PEM file with the server's authority") from None

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


def tls_context(given: Mapping[str, str]) -> Any:
    """Return an `ssl.SSLContext` for the option `tls` (`system`, or the PATH of a file of authorities), or None.

    Raises `ConfigError` for a file that cannot be read.
    """
    where = given.get("tls")
    if where is None:
        return None
    import ssl

    try:
        return ssl.create_default_context(cafile=None if where == "system" else where)
    except OSError:
        raise ConfigError("tls is system, or the path of a PEM file with the server's authority") from None

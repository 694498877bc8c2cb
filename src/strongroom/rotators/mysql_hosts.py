"""Which of several accounts of one name a server takes for a client: the one whose host fits most closely."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from ipaddress import ip_address, ip_network
from typing import NamedTuple


class Account(NamedTuple):
    """A row of mysql.user."""

    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.user!r}@{self.host!r}"


def taken(accounts: Iterable[Account], user: str, client: str) -> Account | None:
    """Return the account that a server takes for `user` from the host `client`, None when there is none."""
    fitting = [each for each in accounts if each.user in (user, "") and fits(each.host, client)]
    return min(fitting, key=lambda each: (*_rank(each.host), each.user == ""), default=None)


def fits(pattern: str, client: str) -> bool:
    """True when the host of an account covers a client's name or address."""
    if "/" in pattern:
        try:
            return ip_address(client) in ip_network(pattern, strict=False)
        except ValueError:
            return False
    parts = (".*" if sign == "%" else "." if sign == "_" else re.escape(sign) for sign in pattern or "%")
    return re.fullmatch("".join(parts), client, re.IGNORECASE) is not None


def is_of(accounts: Iterable[Account], user: str, client: str, hosts: Container[str]) -> bool:
    """True when a session from `client` was let in as an account with one of these hosts.

    A server that resolves names tells the client's, while it may have let it in by its address: where an account for
    addresses could be meant, and is not among these, the answer is False. An account that is gone is no other one.
    """
    mine = [each for each in accounts if each.user == user]
    if any(_is_numeric(each.host) and each.host not in hosts for each in mine) and not _is_numeric(client):
        return False
    account = taken(mine, user, client)
    return account is None or account.host in hosts


def _is_numeric(host: str) -> bool:
    """True for addresses and patterns of them."""
    return any(sign.isdigit() or sign == ":" for sign in host) and re.fullmatch(r"[\d.:%_/a-f]+", host) is not None


def _rank(host: str) -> tuple[bool, bool, int, int]:
    """Whole hosts first, then networks, then the later the first wildcard stands; `%` and nothing at the end."""
    wild = min((host.find(sign) for sign in "%_" if sign in host), default=None)
    return (wild is not None or not host, "/" in host, -(wild or 0), -len(host))

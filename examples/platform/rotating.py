"""What an operator does and sees: rotations of POSTGRES_PASSWORD, who holds which version, what PostgreSQL takes."""

from __future__ import annotations

import time

import psycopg
from running import PATIENCE, WITH_POOLS, Platform
from telling import NotAsTold

from strongroom import VersionInfo

NAME = "POSTGRES_PASSWORD"
STEPS = ("pending", "set", "tested", "promoted", "retired")


def attach(platform: Platform, grace: float, *, roles: tuple[str, ...] = ("platform_a", "platform_b")) -> None:
    """Let two roles take turns, or one role have one password; `grace` is in seconds.

    Returns when each service has said which version it holds, which takes them some 50 ms: a rotation waits only for
    processes that it knows.
    """
    place = f"postgresql://postgres@127.0.0.1:{platform.server.port}/postgres?role={roles[0]}"
    other = f"&other={roles[1]}" if len(roles) == 2 else ""
    platform.store.rotation.attach(NAME, f"{place}{other}&admin_secret=POSTGRES_ADMIN_PASSWORD", grace=grace)
    until = time.monotonic() + PATIENCE
    while set(held(platform)) != set(WITH_POOLS):
        if time.monotonic() > until:
            raise NotAsTold(f"only {sorted(held(platform))} say which version they hold")
        time.sleep(0.05)


def rotate(platform: Platform, wait: float = 20.0) -> VersionInfo:
    """Rotate the password, and wait so many seconds for the services to switch."""
    return platform.store.rotation.rotate(NAME, wait=wait)


def step(platform: Platform) -> str:
    """Return where the rotation is: `idle` when the password before is retired."""
    return platform.store.rotation.status(NAME)[0].step


def held(platform: Platform) -> dict[str, int]:
    """Return the version that each service has reported."""
    return {consumer.service: consumer.version for consumer in platform.store.rotation.status(NAME)[0].consumers}


def laggards(platform: Platform) -> list[str]:
    """Return the services that have not switched."""
    return [consumer.service for consumer in platform.store.rotation.status(NAME)[0].laggards]


def role(platform: Platform, version: int) -> str:
    """Return the role that a version is of."""
    found = platform.store.get_field(NAME, "username", version=version)
    assert found is not None
    return found


def accepts(platform: Platform, version: int) -> bool:
    """Ask PostgreSQL itself whether it takes this version's role and password."""
    data = platform.store.get_data(NAME, version=version)
    assert data is not None
    place = f"host=127.0.0.1 port={platform.server.port} dbname=postgres"
    try:
        psycopg.connect(place, user=data["username"], password=data["value"]).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False
    return True


def roles_in_use(platform: Platform) -> set[str]:
    """Return the roles that services are connected to PostgreSQL as."""
    place = f"host=127.0.0.1 port={platform.server.port} dbname=postgres user=postgres"
    query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'platform%'"
    with psycopg.connect(place, password=platform.server.admin_password) as connection:
        return {found for (found,) in connection.execute(query)}


def steps_on_record(platform: Platform) -> list[str]:
    """Return the steps of the password's rotations as the audit log has them, oldest first."""
    events = platform.store.get_audit_logs(limit=None, name=NAME, action="ROTATE", outcome="ok")
    return [event["stage"] for event in reversed(events) if event.get("stage") in STEPS]

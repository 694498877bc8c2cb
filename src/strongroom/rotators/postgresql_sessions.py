"""Open sessions of a role: who is still logged in with a password that has been replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.protocols import Sessions

Bounds = Sequence[tuple[str, float]]
"""Each role, and from how many seconds on a session of it counts."""
LEAVING = 5.0
"""Seconds for sessions that were told to end."""
_CLIENTS = (
    "FROM pg_stat_activity WHERE usename = %s AND pid <> pg_backend_pid() "
    "AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender')"
)
_COUNT = (
    "SELECT count(*) FILTER (WHERE backend_start < %s), count(*) FILTER (WHERE backend_start IS NULL), "
    "extract(epoch FROM clock_timestamp() - min(backend_start))::float8 "
)
_END = "SELECT pid, pg_terminate_backend(pid) " + _CLIENTS + " AND backend_start < %s"


def count(connection: Any, bounds: Bounds, asked: float) -> list[Sessions]:
    """Return the sessions of each role; `asked` is the time.monotonic() at which the ages were true.

    Raises `RotationError` when they may not be seen.
    """
    found = []
    for role, since in _since(connection, bounds, asked):
        number, hidden, oldest = connection.execute(_COUNT + _CLIENTS, (since, role)).fetchone()
        if hidden:
            raise RotationError(
                f"{hidden} sessions of {role!r} are open, and PostgreSQL does not show {connection.info.user!r} since "
                f'when: GRANT pg_read_all_stats TO "{connection.info.user}"'
            )
        if number:
            found.append(Sessions(role, number, oldest))
    return found


def end(connection: Any, bounds: Bounds, asked: float) -> int:
    """End the sessions that `count` counts, and return how many they were. Our own session is never one of them."""
    ended: set[int] = set()
    for role, since in _since(connection, bounds, asked):
        rows = connection.execute(_END, (role, since)).fetchall()
        ended |= {pid for pid, told in rows if told}
    deadline = time.monotonic() + LEAVING
    while ended and time.monotonic() < deadline:
        left = connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", (list(ended),)).fetchone()
        if left is None:
            break
        time.sleep(0.02)
    return len(ended)


def check_may_end(connection: Any, roles: Sequence[str]) -> None:
    """Raise `SourceRefusedError` unless the sessions of the roles may be seen and ended."""
    user = connection.info.user
    for role in roles:
        sees, ends = connection.execute(
            "SELECT pg_has_role(current_user, oid, 'USAGE') OR pg_has_role(current_user, 'pg_read_all_stats', "
            "'USAGE'), pg_has_role(current_user, oid, 'USAGE') OR (NOT rolsuper AND pg_has_role(current_user, "
            "'pg_signal_backend', 'USAGE')) FROM pg_roles WHERE rolname = %s", (role,)
        ).fetchone() or (True, True)  # fmt: skip
        needed = [group for group, has in (("pg_read_all_stats", sees), ("pg_signal_backend", ends)) if not has]
        if needed:
            raise SourceRefusedError(
                f"terminate=1 needs to see and end the sessions of {role!r}: GRANT {', '.join(needed)} TO \"{user}\""
                ' (those of a superuser are ended by superusers alone); terminate=0 leaves them open'
            )  # fmt: skip


def _since(connection: Any, bounds: Bounds, asked: float) -> list[tuple[str, Any]]:
    """Return for each role the server's time before which a session counts.

    What has passed since the ages were true is taken off, so that no session of the new password is ever counted.
    """
    now: Callable[[], Any] = lambda: connection.execute("SELECT clock_timestamp()").fetchone()[0]  # noqa: E731
    import datetime

    at = now()
    passed = time.monotonic() - asked
    return [(role, at - datetime.timedelta(seconds=age + passed if age else 0.0)) for role, age in bounds]

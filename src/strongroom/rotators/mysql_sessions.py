"""Open sessions of accounts of a MariaDB or MySQL server: which there are, how old they are, and how to end them.

Neither server says when a session was opened. What is known: for how long it has been in its state, for how long it
waited for its client before (`performance_schema`), that numbers are given in order, so that a session is at least as
old as each one with a higher number, and which number this process itself was given at which time. So an age is a
least one, and a session that is always busy may pass for a younger one than it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from strongroom.rotators.mysql_hosts import Account, is_of
from strongroom.rotators.mysql_server import Server

_GONE, _NOT_OWNER = 1094, 1095
"""There is no such session; it is another account's."""
KILLERS = ("CONNECTION ADMIN", "CONNECTION_ADMIN", "SUPER")
"""Rights of which each is enough to end sessions of others."""
_ROUTINES = (
    "SELECT ROUTINE_NAME AS name FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND "
    "ROUTINE_NAME IN ('rds_kill', 'az_kill')"
)
"""What takes the place of that right at Amazon's and Microsoft's servers; they are listed to whom they are granted."""
_LISTED = "SELECT ID, USER, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST"
_LISTED_BY_MARIADB = "SELECT ID, USER, HOST, COMMAND, TIME_MS / 1000 FROM information_schema.PROCESSLIST"
_IDLE = (
    "SELECT t.PROCESSLIST_ID AS number, e.SUM_TIMER_WAIT / 1e12 AS seconds FROM performance_schema.threads t "
    "JOIN performance_schema.events_waits_summary_by_thread_by_event_name e ON e.THREAD_ID = t.THREAD_ID "
    "WHERE e.EVENT_NAME = 'idle' AND t.PROCESSLIST_ID IS NOT NULL"
)
_OF_THE_SERVER = ("system user", "event_scheduler")


class Session(NamedTuple):
    """A session."""

    number: int
    user: str
    host: str
    """The client's, without its port."""
    age: float
    """Seconds for which it has been open, at least."""


def sessions(server: Server, marks: Sequence[tuple[float, int]]) -> list[Session]:
    """Return the sessions of clients but this one; the administrator needs the right PROCESS to see those of others.

    `marks`: the moments (monotonic) at which the server had come to which number.
    """
    found = server.rows(_LISTED_BY_MARIADB if server.is_mariadb else _LISTED)
    uptime = float(server.rows("SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1])
    idle, now = _idle(server), time.monotonic()
    clients = [row for row in found if row[1] not in _OF_THE_SERVER and row[3] not in ("Daemon", "Connect")]
    least = {int(row[0]): max(0.0, float(row[4] or 0)) + idle.get(int(row[0]), 0.0) for row in clients}
    for moment, number in marks:
        least[number] = max(least.get(number, 0.0), now - moment)
    ages: dict[int, float] = {}
    oldest = 0.0
    for number in sorted(least, reverse=True):
        # What is older than the server was told of by one before it, or by a clock that was set.
        oldest = max(oldest, least[number] if least[number] <= uptime + 1 else 0.0)
        ages[number] = oldest
    own = server.number
    return [Session(int(row[0]), str(row[1]), str(row[2]).rpartition(":")[0] or str(row[2]), ages[int(row[0])])
            for row in clients if int(row[0]) != own]  # fmt: skip


def of_accounts(found: Iterable[Session], accounts: Sequence[Account], hosts: Sequence[str]) -> list[Session]:
    """Return the sessions that were let in as accounts with one of these hosts."""
    return [each for each in found if is_of(accounts, each.user, each.host, hosts)]


def killing_routine(server: Server) -> str | None:
    """Return the routine by which a managed server lets its administrator end sessions."""
    found = server.allowed(_ROUTINES)
    return str(found[0]["name"]) if found else None


def end(server: Server, found: Iterable[Session]) -> int:
    """End sessions and return how many; one that has ended by itself is none."""
    import pymysql

    ended = 0
    for session in found:
        try:
            _kill(server, session.number)
        except pymysql.Error as error:
            if not error.args or error.args[0] != _GONE:
                raise
        else:
            ended += 1
    return ended


def _kill(server: Server, number: int) -> None:
    import pymysql

    try:
        server.rows(f"KILL CONNECTION {number:d}")
    except pymysql.Error as error:
        routine = killing_routine(server) if error.args and error.args[0] == _NOT_OWNER else None
        if routine is None:
            raise
        server.rows(f"CALL mysql.{routine}({number:d})")


def _idle(server: Server) -> Mapping[int, float]:
    """Return for how long each session has waited for its client, where the server counts that and tells it."""
    enabled = server.allowed("SELECT @@performance_schema")
    if not enabled or str(next(iter(enabled[0].values()))) not in ("1", "ON"):
        return {}
    return {int(row["number"]): float(row["seconds"] or 0) for row in server.allowed(_IDLE)}

"""The look before the leap: whether each log-in works, proves the password, and what a rotation would meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators import postgresql_rights as rights
from strongroom.rotators import postgresql_roles as roles
from strongroom.rotators.accounts import Login, Refused
from strongroom.rotators.postgresql_errors import MD5_ADVICE
from strongroom.rotators.postgresql_server import Server
from strongroom.rotators.postgresql_url import Asked

ONE_ROLE = (
    "the role has one password: new log-ins with the previous value are refused as soon as the new one is set, some "
    "milliseconds before readers get that; two roles that take turns (`other=`) have no such gap"
)
ONE_ROLE_POOLED = (
    "pgbouncer may refuse log-ins of the role for its server_login_retry (15 s) when it connects to the server in "
    "those milliseconds; with two roles it does not"
)
_SHOWN = 12


def check_login(server: Server, asked: Asked, login: Login) -> None:
    """Raise `SourceRefusedError` unless the login works, by its password, and can run the test query."""
    try:
        with server.connected(*login, as_client=True) as connection:
            connection.execute(asked.test)
    except SourceRefusedError as error:
        if server.admin is not None and (isinstance(error, Refused) or getattr(error, "state", "") == "53300"):
            _explain(server, login.user, error)
        raise
    if not asked.only_scram:
        _check_password_counts(server, asked, login)


def _explain(server: Server, role: str, error: SourceRefusedError) -> None:
    """Raise with the reason why the role is refused, where the administrator can see one."""
    why = None
    with suppress(RotationError), server.as_admin(role) as connection:
        why = roles.why_refused(connection, role)
        if why is None and roles.has_md5(connection, role):
            why = f"{MD5_ADVICE}, and --force gives it a new one"
    if why is not None:
        raise type(error)(f"{error}: {why}") from None


def _check_password_counts(server: Server, asked: Asked, login: Login) -> None:
    """Raise when any password lets the role in, or the one that it has is kept in another way than SCRAM."""
    try:
        with server.connected(login.user, os.urandom(16).hex(), as_client=True):
            pass
    except SourceRefusedError:
        pass
    else:
        raise SourceRefusedError(f"{server} lets {login.user!r} in with any password, by a line trust, peer or cert of "
                                 "pg_hba.conf: a rotation would prove nothing; make it scram-sha-256")  # fmt: skip
    if not asked.upgrades_md5:
        try:
            with server.connected(*login, ways="!md5"):
                pass
        except SourceRefusedError as error:
            if getattr(error, "wants_md5", False):
                raise SourceRefusedError(f"{server}, {login.user!r}: {MD5_ADVICE}") from None
            raise


def check_role(connection: Any, asked: Asked, role: str) -> list[str]:
    """Raise `SourceRefusedError` for what would stop the role; return what there is to say."""
    if roles.exists(connection, role):
        roles.check_may_log_in(connection, role)
        roles.check_no_downgrade(connection, role, asked.upgrades_md5)
        if asked.terminates:
            from strongroom.rotators.postgresql_sessions import check_may_end

            check_may_end(connection, [role])
    return roles.notes(connection, role)


def name_the_right(server: Server, role: str, error: SourceRefusedError) -> None:
    """Raise with the statement that gives the administrator the right that it lacks, where that can be told."""
    why = None
    with suppress(RotationError), server.as_admin(role) as connection:
        why = roles.right_lacking(connection, connection.info.user, role)
    if why is not None:
        raise SourceRefusedError(f"{server}, as role {server.admin!r}: 42501: {why}") from None


def check_pair(server: Server, asked: Asked) -> list[str]:
    """Raise `SourceRefusedError` when one of two roles lacks a right of the other; return what was not compared."""
    one, other = asked.roles.all()
    if not asked.same_rights:
        return []
    lacks: dict[str, set[str]] = {one: set(), other: set()}
    said = []

    def add(connection: Any) -> None:
        found = rights.compare(connection, one, other)
        lacks[one] |= found.one
        lacks[other] |= found.other

    with server.as_admin(one) as connection:
        add(connection)
        others = rights.databases(connection, one, other)
    for database in others:
        try:
            with server.as_admin(one, database=database) as connection:
                add(connection)
        except SourceRefusedError:
            said.append(f"the rights of {one!r} and {other!r} in the database {database!r} were not compared: "
                        f"{server.admin!r} may not connect to it")  # fmt: skip
    texts = [f"{role!r} lacks {_several(missing)}" for role, missing in lacks.items() if missing]
    if texts:
        raise SourceRefusedError(
            f"the roles have not the same rights, and readers get one after the other: {'; '.join(texts)}. Let both "
            "have the same, or say rights=any"
        )
    return said


def _several(texts: set[str]) -> str:
    shown = sorted(texts)[:_SHOWN]
    more = len(texts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def check_replicas(server: Server, asked: Asked, login: Login) -> list[str]:
    """Raise unless each replica accepts the current password, and is one; tell of replicas that are not waited for."""
    if not asked.replicas:
        with server.connected(*login) as connection:
            (number,) = connection.execute("SELECT count(*) FROM pg_stat_replication").fetchone()
        if number:
            return [
                f"standbys follow the server ({number}): who logs in there is let in with a new password when it has "
                "got there; replicas=HOST:PORT waits for that before readers get it"
            ]
    for replica in asked.replicas:
        with server.at([replica]).connected(*login) as connection:
            if not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
                raise SourceRefusedError(
                    f"PostgreSQL at {replica} is no standby of the primary, so that a new password does not reach it: "
                    "take it out of replicas="
                )
    return []


def wait_for_replica(replica: Server, login: Login, until: Callable[[], float]) -> None:
    """Return when a replica accepts the login; raises `RotationError` when it has not at the time that `until` says."""
    while True:
        try:
            with replica.connected(*login):
                return
        except RotationError as error:
            if time.monotonic() >= until():
                raise RotationError(
                    f"{error}. The new password has not reached this replica: it lags behind the primary "
                    "(pg_stat_replication), or follows another; lag=SECONDS waits longer"
                ) from None
        time.sleep(0.05)

"""A role of a PostgreSQL server: what keeps it from logging in, who may change it, and the change itself."""

from __future__ import annotations

from typing import Any

from strongroom.errors import SourceRefusedError
from strongroom.rotators.postgresql_errors import MD5_ADVICE


def alter(connection: Any, role: str, verifier: str | None, before: str = "") -> None:
    """Give the role a verifier, or none; within a transaction that has taken its turn."""
    from psycopg import sql

    word: sql.Composable = sql.SQL("NULL") if verifier is None else sql.Literal(verifier)
    turn = sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0)); ").format(sql.Literal(before))
    change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), word)
    connection.execute(turn + change if before else change)


def alter_at_once(connection: Any, role: str, verifier: str | None) -> None:
    """Do the same in one message, which is a transaction: no session that we lose keeps the role locked."""
    alter(connection, role, verifier, before=_turn(role))


def verifier_of(connection: Any, role: str, password: str) -> str:
    """Return what the server is to keep of a password: SCRAM-SHA-256, whatever its password_encryption is."""
    encrypted: bytes = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return encrypted.decode()


def take_turns(connection: Any, role: str) -> None:
    """Let one transaction at a time change the role; the lock is taken before the change is sent."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (_turn(role),))


def _turn(role: str) -> str:
    return f"strongroom {role}"


def exists(connection: Any, role: str) -> bool:
    """True when there is such a role."""
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def check_may_log_in(connection: Any, role: str) -> None:
    """Raise `SourceRefusedError` for a role that no password lets in."""
    why = why_refused(connection, role)
    if why is not None:
        raise SourceRefusedError(why)


def why_refused(connection: Any, role: str) -> str | None:
    """Return why the server lets the role in with no password, None when there is no such reason."""
    row = connection.execute(
        "SELECT rolcanlogin, rolvaliduntil <= now(), rolvaliduntil::text, rolconnlimit, has_database_privilege(oid, "
        "current_database(), 'CONNECT'), current_database() FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()  # fmt: skip
    if row is None:
        return f'there is no role "{role}": CREATE ROLE "{role}" LOGIN makes it'
    may, over, until, limit, connects, database = row
    if not may:
        return f'the role {role!r} may not log in: ALTER ROLE "{role}" LOGIN'
    if over:
        return (
            f"the password of the role {role!r} was valid until {until}, whatever it is: "
            f"ALTER ROLE \"{role}\" VALID UNTIL 'infinity'"
        )
    if limit == 0:
        return f'the role {role!r} may have no connection: ALTER ROLE "{role}" CONNECTION LIMIT -1'
    if not connects:
        return f'the role {role!r} may not connect: GRANT CONNECT ON DATABASE "{database}" TO "{role}"'
    return None


def has_md5(connection: Any, role: str) -> bool:
    """True for a role whose password is kept as MD5; False too when the administrator may not see that."""
    seen = connection.execute("SELECT has_column_privilege('pg_authid', 'rolpassword', 'SELECT')").fetchone()
    if not seen[0]:
        return False
    is_md5 = "SELECT 1 FROM pg_authid WHERE rolname = %s AND rolpassword LIKE 'md5%%'"
    return connection.execute(is_md5, (role,)).fetchone() is not None


def check_no_downgrade(connection: Any, role: str, upgrade: bool) -> None:
    """Raise `SourceRefusedError` when the role's clients would have to log in in another way than today."""
    if not upgrade and has_md5(connection, role):
        raise SourceRefusedError(f"{role!r}: {MD5_ADVICE}")


def notes(connection: Any, role: str) -> list[str]:
    """Return what an operator may want to know of the role."""
    said = []
    row = connection.execute("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = %s AND rolvaliduntil > now() "
                             "AND isfinite(rolvaliduntil)", (role,)).fetchone()  # fmt: skip
    if row is not None:
        said.append(f"the role {role!r} may log in until {row[0]} only, with whatever password: a rotation does not "
                    f"move that (ALTER ROLE \"{role}\" VALID UNTIL 'infinity')")  # fmt: skip
    seen = connection.execute("SELECT has_function_privilege('pg_hba_file_rules()', 'EXECUTE')").fetchone()
    if seen[0]:
        lines = connection.execute(
            "SELECT line_number, coalesce(address, type) FROM pg_hba_file_rules WHERE auth_method = 'trust' AND "
            "user_name && ARRAY['all', %s::text] AND database && ARRAY['all', current_database()::text] ORDER BY 1",
            (role,),
        ).fetchall()  # fmt: skip
        said += [f"pg_hba.conf, line {line}, lets {role!r} in without a password from {where}" for line, where in lines]
    return said


def right_lacking(connection: Any, admin: str, role: str) -> str | None:
    """Return what an administrator lacks to change the role's password, and the statement that gives it."""
    row = connection.execute(
        "SELECT a.rolsuper, a.rolcreaterole, r.rolsuper, r.rolreplication, pg_has_role(a.oid, r.oid, "
        "'MEMBER WITH ADMIN OPTION') FROM pg_roles a, pg_roles r WHERE a.rolname = %s AND r.rolname = %s",
        (admin, role),
    ).fetchone()
    if row is None or row[0]:
        return None
    _, creates, is_super, replicates, option = row
    version = connection.info.server_version // 10000
    if is_super or (replicates and version < 16):
        what = "a superuser" if is_super else "a role with REPLICATION"
        return f'the role "{role}" is {what}, whose password takes a superuser: name one as the administrator'
    todo = [] if creates else [f'ALTER ROLE "{admin}" CREATEROLE']
    if version >= 16 and not option:
        todo.append(f'GRANT "{role}" TO "{admin}" WITH ADMIN OPTION')
    if not todo:
        return None
    return f"to change the password of {role!r}, {admin!r} needs (PostgreSQL {version}): {'; '.join(todo)}"

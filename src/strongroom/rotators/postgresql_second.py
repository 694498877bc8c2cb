"""A second role with the rights of the first, so that the two can take turns.

The second is a member of the first and acts as it (`ALTER ROLE … SET role`): so it has all that the first has now and
will have, and what it makes belongs to the first. To copy the grants would be true for a day, and a copy cannot own
what the first owns.
"""

from __future__ import annotations

from typing import Any

from strongroom.errors import SourceRefusedError

_LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
_FLAGS = ("SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")


def statements(connection: Any, first: str, second: str) -> list[str]:
    """Return the SQL that makes the second role; it has no password, so nobody can log in as it before its turn."""
    from psycopg import sql

    row = connection.execute(
        "SELECT rolconnlimit, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM "
        "pg_roles WHERE rolname = %s",
        (first,),
    ).fetchone()
    if row is None:
        raise SourceRefusedError(f"there is no role {first!r}, whose rights the second one could have")
    limit, inherits, *flags = row
    words = ["LOGIN", *(word for word, flag in zip(_FLAGS, flags, strict=True) if flag)]
    words += [] if inherits else ["NOINHERIT"]
    words += [f"CONNECTION LIMIT {limit}"] if limit >= 0 else []
    one, other = sql.Identifier(first), sql.Identifier(second)
    made: list[sql.Composable] = [
        sql.SQL("CREATE ROLE {} {}").format(other, sql.SQL(" ".join(words))),
        sql.SQL("GRANT {} TO {}").format(one, other),
    ]
    settings = connection.execute(
        "SELECT datname, split_part(word, '=', 1), substr(word, strpos(word, '=') + 1) FROM pg_db_role_setting LEFT "
        "JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) word WHERE setrole = (SELECT oid FROM pg_roles "
        "WHERE rolname = %s) ORDER BY 1 NULLS FIRST, 2", (first,)
    ).fetchall()  # fmt: skip
    if not any(name == "role" and database is None for database, name, _ in settings):
        settings.insert(0, (None, "role", first))
    for database, name, value in settings:
        within = sql.SQL("") if database is None else sql.SQL(" IN DATABASE {}").format(sql.Identifier(database))
        values = split(value) if name in _LISTS else [value]
        made.append(
            sql.SQL("ALTER ROLE {}{} SET {} TO {}").format(
                other, within, sql.SQL(".").join(map(sql.Identifier, name.split("."))),
                sql.SQL(", ").join(map(sql.Literal, values or [""])),
            )
        )  # fmt: skip
    return [text.as_string(connection) for text in made]


def split(text: str) -> list[str]:
    """Return the names of a list as the server keeps it: `"$user", public`."""
    names, name, quoted, left = [], "", False, list(text)
    while left:
        character = left.pop(0)
        if character == '"':
            if quoted and left[:1] == ['"']:
                name += left.pop(0)
            else:
                quoted = not quoted
        elif character == "," and not quoted:
            names.append(name)
            name = ""
        elif quoted or not character.isspace():
            name += character
    return [*names, name] if text.strip() else []

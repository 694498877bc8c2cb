"""What one role may and another may not: attributes, settings, memberships, grants, ownership and row security.

PostgreSQL notes in pg_shdepend which objects name a role, in all databases, so that only those are looked at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_ACLS = (
    ("pg_class", "pg_class", "relacl"), ("pg_proc", "pg_proc", "proacl"), ("pg_namespace", "pg_namespace", "nspacl"),
    ("pg_type", "pg_type", "typacl"), ("pg_language", "pg_language", "lanacl"),
    ("pg_foreign_data_wrapper", "pg_foreign_data_wrapper", "fdwacl"),
    ("pg_foreign_server", "pg_foreign_server", "srvacl"), ("pg_largeobject", "pg_largeobject_metadata", "lomacl"),
    ("pg_database", "pg_database", "datacl"), ("pg_tablespace", "pg_tablespace", "spcacl"),
    ("pg_default_acl", "pg_default_acl", "defaclacl"), ("pg_parameter_acl", "pg_parameter_acl", "paracl"),
)  # fmt: skip
"""By which class pg_shdepend names an object, its catalog, and the column of its grants."""
_ATTRIBUTES = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
# ruff: noqa: S608 (what stands in these statements besides parameters are the words of _ACLS)
_NAMED = "(SELECT concat_ws(' ', type, identity) FROM pg_identify_object({}))"
_PUBLIC = 0


class Difference(NamedTuple):
    """What each of two roles lacks of the other's rights, in words."""

    one: frozenset[str]
    other: frozenset[str]


def compare(connection: Any, one: str, other: str) -> Difference:
    """Return what each role lacks, in the connection's database and for the server as a whole."""
    roles = _Roles(connection, one, other)
    return Difference(*(frozenset(roles.has[b] - roles.has[a]) for a, b in ((one, other), (other, one))))


def databases(connection: Any, one: str, other: str) -> list[str]:
    """Return the other databases in which something names one of the two roles, at most 20."""
    rows = connection.execute(
        "SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database d ON d.oid = dbid WHERE refclassid = "
        "'pg_authid'::regclass AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname = ANY(%s)) AND datallowconn "
        "AND datname <> current_database() ORDER BY 1 LIMIT 20", ([one, other],)
    ).fetchall()  # fmt: skip
    return [row[0] for row in rows]


class _Roles:
    """The rights of two roles, as sets of words that can be compared."""

    def __init__(self, connection: Any, one: str, other: str) -> None:
        self._connection = connection
        self._pair = (one, other)
        self.has: dict[str, set[str]] = {}
        members = {role: self._members(role) for role in self._pair}
        acts = {role: self._acts_as(role) for role in self._pair}
        lacking = members[one] ^ members[other]
        apart = (acts[one] ^ acts[other]) - self._numbers(lacking)
        supers = {role for role in self._pair if self._is_super(role)}
        rows = self._rights(apart, acts[one] | acts[other] | {_PUBLIC}) if apart and not supers else []
        for role in self._pair:
            mine = acts[role]
            owned = {row.what for row in rows if row.right == "OWNER" and row.whom in mine}
            named = {f"{row.right} on {row.what}" for row in rows if row.whom in mine | {_PUBLIC}}
            # An owner has all rights on what it owns.
            named |= {f"{row.right} on {row.what}" for row in rows if row.what in owned}
            groups = set() if supers else {f"membership in {group}" for group in members[role]}
            self.has[role] = named | groups | self._attributes(role) | self._settings(role)

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(query, values).fetchall())

    def _numbers(self, names: set[str]) -> set[int]:
        return {row[0] for row in self._all("SELECT oid FROM pg_roles WHERE rolname = ANY(%s)", list(names))}

    def _is_super(self, role: str) -> bool:
        return bool(self._all("SELECT 1 FROM pg_roles WHERE rolname = %s AND rolsuper", role))

    def _members(self, role: str) -> set[str]:
        """Return the groups that a role is in, whether it inherits their rights or not."""
        rows = self._all("SELECT rolname FROM pg_roles r WHERE pg_has_role(%s, r.oid, 'MEMBER') AND rolname <> ALL(%s)",
                         role, list(self._pair))  # fmt: skip
        return {row[0] for row in rows}

    def _acts_as(self, role: str) -> set[int]:
        """Return the roles whose rights a session has: those that it inherits, after ALTER ROLE … SET role."""
        rows = self._all(
            "WITH me AS (SELECT coalesce((SELECT substr(word, 6) FROM pg_db_role_setting, unnest(setconfig) word "
            "WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = %s) AND word LIKE 'role=%%' AND setdatabase IN "
            "(0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY setdatabase DESC LIMIT 1"
            "), %s)::name AS name) SELECT r.oid FROM pg_roles r, me WHERE pg_has_role(me.name, r.oid, 'USAGE')",
            role, role,
        )  # fmt: skip
        return {row[0] for row in rows}

    def _attributes(self, role: str) -> set[str]:
        query = (
            "SELECT rolname = %s, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit & "
            "2147483647 FROM pg_roles WHERE rolname = ANY(%s) ORDER BY 1"
        )
        (_, *_, less), (_, *flags, limit) = self._all(query, role, list(self._pair))
        found = {name[3:].upper() for name, flag in zip(_ATTRIBUTES, flags, strict=True) if flag}
        return found | ({f"connections beyond CONNECTION LIMIT {less}"} if limit > less else set())

    def _settings(self, role: str) -> set[str]:
        """Return the names of settings and a mark of their values, which may be secret."""
        rows = self._all(
            "SELECT split_part(word, '=', 1), coalesce(datname, '') FROM pg_db_role_setting LEFT JOIN pg_database d ON "
            "d.oid = setdatabase, unnest(setconfig) word WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = %s) "
            "AND word NOT LIKE 'role=%%' AND NOT EXISTS (SELECT FROM pg_db_role_setting o WHERE o.setrole = (SELECT "
            "oid FROM pg_roles WHERE rolname = %s) AND o.setdatabase = pg_db_role_setting.setdatabase AND word = "
            "ANY(o.setconfig))", role, next(name for name in self._pair if name != role),
        )  # fmt: skip
        within = {database: f" in database {database}" if database else "" for _, database in rows}
        return {f"the setting {name} of {role!r}{within[database]}" for name, database in rows}

    def _rights(self, apart: set[int], all_of_them: set[int]) -> list[_Row]:
        """Return who has which right on all objects that name a role which is only one of the two's."""
        here = "dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
        objects = self._all(
            "SELECT DISTINCT classid::regclass::text, objid, deptype = 'o', refobjid, "
            f"{_NAMED.format('classid, objid, 0')} FROM pg_shdepend s WHERE refclassid = 'pg_authid'::regclass AND "
            f"refobjid = ANY(%s) AND {here} AND EXISTS (SELECT FROM pg_shdepend o WHERE o.classid = s.classid AND "
            f"o.objid = s.objid AND o.refclassid = s.refclassid AND o.refobjid = ANY(%s) AND o.{here})",
            list(all_of_them), list(apart),
        )  # fmt: skip
        ids: dict[str, list[int]] = {}
        rows = []
        for kind, number, is_owner, whom, what in objects:
            ids.setdefault(kind, []).append(number)
            if is_owner:
                rows.append(_Row(whom, "OWNER", what))
        everybody = list(all_of_them)
        for kind, catalog, column in _ACLS:
            if kind in ids:
                rows += self._granted(kind, catalog, column, "0", ids[kind], everybody)
        if "pg_class" in ids:
            rows += self._granted("pg_class", "pg_attribute", "attacl", "attnum", ids["pg_class"], everybody)
        if "pg_policy" in ids:
            name = _NAMED.format("'pg_policy'::regclass, oid, 0")
            found = self._all(
                f"SELECT whom, 'row security', {name} FROM pg_policy, unnest(polroles) whom "
                "WHERE oid = ANY(%s) AND whom = ANY(%s)", ids["pg_policy"], everybody,
            )  # fmt: skip
            rows += [_Row(*row) for row in found]
        return [row._replace(what=self._neutral(row.what)) for row in rows]

    def _granted(self, kind: str, catalog: str, column: str, part: str, ids: list[int], roles: list[int]) -> list[_Row]:
        number = "attrelid" if catalog == "pg_attribute" else "oid"
        name = _NAMED.format(f"'{kind}'::regclass, {number}, {part}")
        found = self._all(
            "SELECT x.grantee, x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, "
            f"{name} FROM {catalog}, aclexplode({column}) x WHERE {number} = ANY(%s) AND x.grantee = ANY(%s)",
            ids, roles,
        )  # fmt: skip
        return [_Row(*row) for row in found]

    def _neutral(self, what: str) -> str:
        """What each of two roles has for itself is the same thing: its own default privileges, its own user mapping."""
        what = what.replace("default acl for", "default privileges for", 1).replace("parameter ACL", "parameter", 1)
        for role in self._pair:
            for kind, end in (("default privileges for role ", " on "), ("default privileges for role ", " in schema "),
                              ("user mapping ", " on server ")):  # fmt: skip
                if what.startswith(f"{kind}{role}{end}"):
                    return what.replace(f"{kind}{role}", f"{kind}itself", 1)
        return what


class _Row(NamedTuple):
    whom: int
    right: str
    what: str

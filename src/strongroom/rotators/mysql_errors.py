"""What the errors of MariaDB and MySQL mean, and what to do: in our words, as the server's may quote a statement."""

from __future__ import annotations

import re

NO_PLUGIN = 2059
REFUSED = (1045, 1698)
"""The server does not let this account in with this password."""
_ABOUT_LOGIN = {
    1044: "the account has no right on the database",
    1045: "it refuses the user{seen}: the password is another, there is no such account for this host, one that comes "
    "before it is taken (SELECT User, Host FROM mysql.user), or it asks for TLS or a client's certificate (REQUIRE)",
    1698: "it refuses the user{seen}: the password is another, or the account logs in by the socket alone; ALTER USER "
    "… IDENTIFIED gives it one",
}
_ABOUT_STATEMENT = {
    1044: "{user!r} lacks a right on the database: {grant}",
    1045: "{user!r} lacks a right, or may not pass it on: {grant} … WITH GRANT OPTION",
}
_BY_CODE = {
    1021: "its disk is full",
    1040: "it has no connection left: raise max_connections, or end idle sessions",
    1046: "the statement needs a database: write database.table",
    1047: "it is a node of a cluster that is not ready (wsrep): name another host in the rotator's URL",
    1064: "it does not know the statement: MariaDB 10.4 or MySQL 8.0.14 is the least",
    1095: "{user!r} may not end sessions of others: GRANT CONNECTION ADMIN (MySQL: CONNECTION_ADMIN) ON *.* TO it",
    1129: "it has shut out this host after too many failed connections: FLUSH HOSTS there, or raise max_connect_errors",
    1130: "no account may log in from this host{seen}: CREATE USER … @ that host, or connect from another",
    1133: "there is no such account; user=, other= and user_host= name it",
    1141: "there is no such account; user=, other= and user_host= name it",
    1142: "{user!r} lacks a right on a table: {grant}",
    1143: "{user!r} lacks a right on a column: {grant}",
    1146: "there is no such table: write database.table",
    1203: "the account has as many connections as it may (max_user_connections): raise that, or wait",
    1205: "another session holds a lock that it waited for; try again",
    1226: "the account has used up what it may (MAX_USER_CONNECTIONS, MAX_CONNECTIONS_PER_HOUR and such): ALTER USER "
    "… WITH raises that, or wait",
    1227: "the administrator needs the right CREATE USER (GRANT CREATE USER ON *.* TO {user!r}); on MySQL, for an "
    "account with SYSTEM_USER, that too",
    1269: "there is no such account; user=, other= and user_host= name it",
    1290: "it is read-only, or a replica (--read-only): name the primary in the rotator's URL",
    1356: "a view that the query names cannot be read with the account's rights",
    1370: "{user!r} may not call a routine: GRANT EXECUTE ON it",
    1372: "it wants to judge the password itself: SET GLOBAL strict_password_validation = OFF",
    1396: "there is no such account, its way to log in takes no password, it exists already, or the server judges "
    "passwords itself (SET GLOBAL strict_password_validation = OFF); user=, other= and user_host= name an account",
    1470: "a name is too long: MySQL takes 32 characters, MariaDB 80",
    1524: "it does not have that plugin; plugin= names another, INSTALL SONAME adds it",
    1792: "the session is read-only: see transaction_read_only, or name the primary in the rotator's URL",
    1819: "its password policy refuses the value: length= and alphabet= make others",
    1820: "the password has expired: ALTER USER … IDENTIFIED sets another, PASSWORD EXPIRE NEVER ends that",
    1836: "it is in read-only mode: name the primary in the rotator's URL",
    1862: "the password has expired: ALTER USER … IDENTIFIED sets another, PASSWORD EXPIRE NEVER ends that",
    2003: "is it there, and has it a certificate? tls= names its authority, tls=no does without",
    2005: "there is no such host",
    2006: "it has ended the connection",
    2013: "the connection was lost before it answered",
    2026: "it does not talk TLS; tls=no does without, on a network that is yours alone",
    NO_PLUGIN: "it asks for the password itself, which it is told over TLS only; say tls=",
    3024: "the statement took too long",
    3032: "it is in offline mode: only administrators may log in (offline_mode)",
    3118: "the account is locked: ALTER USER … ACCOUNT UNLOCK",
    3159: "it talks over TLS only (require_secure_transport): say tls=",
    3162: "a role or an account is not there; user=, other= and user_host= name it",
    3878: "it cannot keep the previous password with an empty one",
    3955: "the account is locked after too many failed log-ins: ALTER USER … ACCOUNT UNLOCK, or wait",
    4055: "it talks over TLS only (require_secure_transport): say tls=",
    4151: "the account is locked: ALTER USER … ACCOUNT UNLOCK",
}
_CANNOT_FOLLOW = (
    "this client cannot follow the way in which it asks for a password, or the password is another: an account of "
    "several ways is to have the one with a password first (ALTER USER … IDENTIFIED VIA mysql_native_password USING … "
    "OR …), for ed25519 `pip install 'strongroom[mysql]'`"
)
_SEEN = re.compile(r"@'([\w.:%-]{1,255})'|Host '([\w.:-]{1,255})'")


def explain(code: object, said: object, user: str, begun: bool) -> str:
    """Return what an error means and what to do, or "". `begun` is whether the log-in had succeeded."""
    if not begun and not isinstance(code, int):
        return _CANNOT_FOLLOW
    table = _BY_CODE | (_ABOUT_STATEMENT if begun else _ABOUT_LOGIN)
    advice = table.get(code) if isinstance(code, int) else None
    if advice is None:
        return ""
    return advice.format(user=user, seen=_seen(said), grant=f"GRANT it to {user!r}")


def _seen(said: object) -> str:
    """Return from which host the server sees this client, when its words tell."""
    found = _SEEN.search(said) if isinstance(said, str) else None
    return "" if found is None else f" from the host {found[1] or found[2]!r}"

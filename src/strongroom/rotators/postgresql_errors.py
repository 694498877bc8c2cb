"""What PostgreSQL's refusals mean, and what to do: in our words, as the server's own may quote a statement."""

from __future__ import annotations

from typing import NamedTuple

_BY_STATE = {
    "28P01": "it refuses the password",
    "28000": "it does not let the role log in: pg_hba.conf has no entry for it from this host, or the role is NOLOGIN "
    "(ALTER ROLE {role} LOGIN)",
    "42501": "the role may not do that. {right}; a superuser's password takes a superuser",
    "42704": "there is no role {role}: CREATE ROLE {role} LOGIN makes it, role= and other= name another",
    "42710": "there is a role {role} already: name another, or drop it",
    "42P01": "the test query names a table that is not there",
    "25006": "it is a standby, or read-only: name the primary in the rotator's URL",
    "25P03": "the session waited too long within a transaction; try again",
    "57014": "the statement took too long: another session may hold a lock on the role (pg_locks), or a synchronous "
    "standby does not answer; try again",
    "55P03": "another session holds a lock on the role (pg_locks, a transaction with ALTER ROLE that has not ended); "
    "try again",
    "40P01": "the server ended a deadlock with another session; try again",
    "53300": "it has no connection left for the role: raise max_connections or the role's CONNECTION LIMIT",
    "53100": "its disk is full: make room, then try again",
    "53200": "it is out of memory; try again",
    "55000": "the database takes no connections: ALTER DATABASE {database} ALLOW_CONNECTIONS true, or name another "
    "database in the path of the rotator's URL",
    "57P01": "it is shutting down, or an administrator ended the session; try again",
    "57P02": "one of its processes crashed; try again when it has recovered",
    "57P03": "it is starting up or shutting down; try again",
    "3D000": "there is no such database: the path of the rotator's URL names it",
    "08P01": "it is no PostgreSQL server, or a pooler that refuses this; name the server itself",
    "XX000": "the server failed, or somebody else changed the role at the same moment; its log says which; try again",
}


class _Words(NamedTuple):
    said: str
    state: str | None
    """Of the refusal; None where there is no connection at all."""
    means: str = ""
    """More exact than what the state says."""


MD5 = "requested a hashed password"
MD5_ADVICE = (
    "the role has an MD5 password, and its next one would be SCRAM-SHA-256: clients that know MD5 alone (libpq before "
    "10, JDBC before 42.2, a pgbouncer with MD5 entries) would be refused. md5=upgrade says that all yours know SCRAM"
)
MD5_POOLER = (
    "it asks for MD5 (auth_type=md5 with a password in the clear or as MD5 in its list): make it "
    "auth_type=scram-sha-256, or say md5=upgrade, which allows both"
)
_FOREIGN = "it refuses the password, or the log-in: its log says which, in the language of its messages"
_METHOD = "its line of pg_hba.conf for the role and this host is "
_BY_WORDS = (
    _Words("password authentication failed", "28P01"),
    _Words("SASL authentication failed", "28P01"),
    _Words("LDAP authentication failed", "28000", f"{_METHOD}ldap: the password is in a directory, rotate it there"),
    _Words("PAM authentication failed", "28000", f"{_METHOD}pam: the password is elsewhere, rotate it there"),
    _Words("RADIUS authentication failed", "28000", f"{_METHOD}radius: the password is elsewhere, rotate it there"),
    _Words("authentication failed", "28000", f"{_METHOD}peer, ident, cert or gss, which asks for no password: put "
           "a line scram-sha-256 before it"),
    _Words("pg_hba.conf rejects", "28000", f"{_METHOD}reject: put a line scram-sha-256 before it (pg_hba_file_rules "
           "shows the lines in order)"),
    _Words("no encryption", "28000", "pg_hba.conf has no entry for the role, the database and this host without TLS: "
           "add one, or say sslmode=require or verify-full if its lines are hostssl"),
    _Words("no pg_hba.conf entry", "28000", "pg_hba.conf has no entry for the role, the database and this host: add a "
           "line `hostssl {database} {role} ADDRESS scram-sha-256`, then SELECT pg_reload_conf()"),
    _Words("not permitted to log in", "28000", "the role may not log in: ALTER ROLE {user} LOGIN"),
    _Words("not currently accepting connections", "55000"),
    _Words("CONNECT privilege", "42501", "the role may not connect to the database: GRANT CONNECT ON DATABASE "
           "{database} TO {user}"),
    _Words("permission denied for database", "42501", "the role may not connect to the database: GRANT CONNECT ON "
           "DATABASE {database} TO {user}"),
    _Words("terminate process", "42501", "it may not end the sessions of others: GRANT pg_signal_backend TO {user}"),
    _Words("pg_signal_backend", "42501", "it may not end the sessions of others: GRANT pg_signal_backend TO {user}"),
    _Words("rds_password", "42501", "this server lets members of rds_password alone change passwords: GRANT "
           "rds_password TO {user}"),
    _Words("too many connections for role", "53300", "the role has as many connections as its CONNECTION LIMIT "
           "allows: ALTER ROLE {user} CONNECTION LIMIT -1, or end some"),
    _Words("too many connections for database", "53300", "the database has as many connections as it may: ALTER "
           "DATABASE {database} CONNECTION LIMIT -1, or end some"),
    _Words("too many clients", "53300"),
    _Words("too many connections", "53300"),
    _Words("connection slots", "53300", "its last connections are reserved: raise max_connections, end some, or let "
           "the administrator be a member of pg_use_reserved_connections"),
    _Words("no more connections allowed", "53300", "the pooler has no connection left: raise its max_client_conn"),
    _Words("starting up", "57P03"),
    _Words("not yet accepting connections", "57P03"),
    _Words("in recovery mode", "57P03"),
    _Words("shutting down", "57P03"),
    _Words("session is read-only", "25006"),
    _Words("cannot execute", "25006"),
    _Words('database "', "3D000"),
    _Words("no such database", "3D000"),
    _Words('role "', "42704"),
    _Words("no such user", "28P01", "the pooler knows no such user: its auth_file or auth_query must"),
    _Words("requested a hashed password", None, MD5_ADVICE),
    _Words("requested a cleartext password", None, f"{_METHOD}password, ldap, pam or radius, so that it is told the "
           "password itself: make it scram-sha-256; where it has to be, require_auth=password does with it"),
    _Words("did not complete authentication", None, f"{_METHOD}trust, peer or cert, which asks for no password, so "
           "that none would be tested: make it scram-sha-256"),
    _Words("authentication method", None, "it does not log in with SCRAM; see require_auth="),
    _Words("Connection refused", None, "nothing listens there: is it running, and is this its port?"),
    _Words("not translate host name", None, "there is no such host: does its name resolve on this machine?"),
    _Words("not resolve host", None, "there is no such host: does its name resolve on this machine?"),
    _Words("failed to resolve", None, "there is no such host: does its name resolve on this machine?"),
    _Words("timeout expired", None, "it does not answer: a firewall, or another address?"),
    _Words("timed out", None, "it does not answer: a firewall, or another address?"),
    _Words("No route to host", None, "there is no way to it: a firewall, or another address?"),
    _Words("unreachable", None, "there is no way to it: a network that is down, or another address?"),
    _Words("does not match host name", None, "its certificate is for another name than the host's: name the server as "
           "its certificate does, or sslmode=verify-ca asks for the authority alone"),
    _Words("certificate has expired", None, "its certificate has expired: renew it"),
    _Words("certificate", None, "its certificate is not trusted: sslrootcert=PATH names its authority, sslmode= asks "
           "for less"),
    _Words("does not support SSL", None, "it does not talk TLS; ssl=on makes it, sslmode= asks for less, on a network "
           "that is yours alone"),
    _Words("invalid response to SSL", None, "it is no PostgreSQL server: is this its port?"),
    _Words("expected authentication request", None, "it is no PostgreSQL server: is this its port?"),
    _Words("SSL", None, "it does not talk TLS as this machine does; sslmode= asks for less, on a network that is yours "
           "alone"),
    _Words("closed the connection", None, "it closed the connection: a proxy, a server that is ending, or no "
           "PostgreSQL"),
)  # fmt: skip
"""A connection that could not be made has no code; libpq's words have been the same for decades."""
REFUSED = ("28P01", "28000")
STANDBY = "25006"


def state_of(said: str, sqlstate: str | None, used_password: bool = False) -> str | None:
    """Return the code of an error, from libpq's words where it has none.

    A server whose messages are in another language than English is known by this: it was told the password, and
    then said no.
    """
    found = sqlstate or next((words.state for words in _BY_WORDS if words.said in said), None)
    if found is None and used_password and ":  " in said and not any(words.said in said for words in _BY_WORDS):
        return "28P01"
    return found


def explain(state: str | None, said: str, user: str, role: str, *, database: str = "", version: int = 0) -> str:
    """Return what an error means: its code and what to do. `version` is the server's number, 0 when unknown."""
    quoted = {name: '"' + text.replace('"', '""') + '"'
              for name, text in {"user": user, "role": role, "database": database}.items()}  # fmt: skip
    means = next((words.means for words in _BY_WORDS if words.said in said and words.state == state), "")
    if state == "28P01" and not any(words.said in said for words in _BY_WORDS):
        means = _FOREIGN
    advice = (means or _BY_STATE.get(state or "", "")).format(**quoted, right=_right(version).format(**quoted))
    if state is None:
        return "no connection" + (f": {advice}" if advice else "")
    return f"{state}: {advice}" if advice else f"error {state}: the server's log has its words"


def _right(version: int) -> str:
    """Return what lets an administrator change a role's password; the rule changed with PostgreSQL 16."""
    old = "an administrator needs CREATEROLE (ALTER ROLE {user} CREATEROLE)"
    new = "GRANT {role} TO {user} WITH ADMIN OPTION"
    if version == 0:
        return f"Up to PostgreSQL 15 {old}; from 16 on also {new}"
    major = version // 10000
    rule = f"In PostgreSQL {major} " if major else ""
    return f"{rule}{old}" + (f" and {new}" if major >= 16 else "")

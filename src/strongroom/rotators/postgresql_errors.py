"""What PostgreSQL's refusals mean, and what to do: in our words, as the server's own may quote a statement."""

from __future__ import annotations

_BY_STATE = {
    "28P01": "it refuses the password",
    "28000": "it does not let the role log in: pg_hba.conf has no entry for it from this host, or the role is NOLOGIN",
    "42501": "the role may not do that. Up to PostgreSQL 15 an administrator needs CREATEROLE (ALTER ROLE {user} "
    "CREATEROLE); from 16 on also GRANT {role} TO {user} WITH ADMIN OPTION; a superuser's password takes a superuser",
    "42704": "there is no role {role}: CREATE ROLE {role} LOGIN makes it, role= and other= name another",
    "25006": "it is a standby, or read-only: name the primary in the rotator's URL",
    "57014": "the statement took too long: another session may hold a lock on the role (pg_locks); try again",
    "55P03": "another session holds a lock on the role (pg_locks); try again",
    "53300": "it has no connection left for the role: raise max_connections or the role's CONNECTION LIMIT",
    "57P03": "it is starting up or shutting down; try again",
    "57P01": "it is shutting down, or an administrator ended the session; try again",
    "3D000": "there is no such database: the path of the rotator's URL names it",
    "08P01": "it is no PostgreSQL server, or a pooler that refuses this; name the server itself",
}
_BY_WORDS = (
    ("authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("not permitted to log in", "28000"),
    ("too many connections", "53300"),
    ("connection slots", "53300"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ('database "', "3D000"),
)
"""A connection that could not be made has no code; libpq's words have been the same for decades."""
_NO_CONNECTION = (
    ("Connection refused", "nothing listens there: is it running, and is this its port?"),
    ("not translate host name", "there is no such host"),
    ("not resolve host", "there is no such host"),
    ("timeout expired", "it does not answer: a firewall, or another address?"),
    ("certificate", "its certificate is not trusted: sslrootcert=PATH names its authority, sslmode= asks for less"),
    ("SSL", "it does not talk TLS; sslmode= asks for less, on a network that is yours alone"),
    ("authentication method", "it does not log in with SCRAM; see require_auth="),
)
REFUSED = ("28P01", "28000")


def state_of(said: str, sqlstate: str | None) -> str | None:
    """Return the code of an error, from libpq's words where it has none."""
    return sqlstate or next((state for words, state in _BY_WORDS if words in said), None)


def explain(state: str | None, said: str, user: str, role: str) -> str:
    """Return what an error means: its code and what to do."""
    if state is None:
        found = next((advice for words, advice in _NO_CONNECTION if words in said), None)
        return "no connection" + (f": {found}" if found else "")
    advice = _BY_STATE.get(state, "")
    quoted = {"user": f'"{user}"', "role": f'"{role}"'}
    return f"{state}: {advice.format(**quoted)}" if advice else f"error {state}"

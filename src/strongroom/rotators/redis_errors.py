"""What a Redis server says when something goes wrong, in words that say what to do.

Redis answers with a code, such as `NOPERM`, and a text that likes to quote what it was asked: the text is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EHOSTUNREACH, ENETUNREACH

from strongroom.errors import SourceRefusedError
from strongroom.rotators.accounts import Refused

CODES = {
    "READONLY": "it is a replica: name the primary in the rotator's URL",
    "LOADING": "it has just started and is still loading its data: try again in a moment",
    "MASTERDOWN": "it is a replica whose link to its primary is down: `INFO replication` on it says since when",
    "CLUSTERDOWN": "its cluster is down: `CLUSTER INFO` and `CLUSTER NODES` say which node is missing",
    "MOVED": "it is a node of a cluster that sent us elsewhere: say cluster=yes",
    "ASK": "it is a node of a cluster that sent us elsewhere: say cluster=yes",
    "TRYAGAIN": "its cluster is moving slots: try again",
    "MISCONF": "it cannot write to its disk: its log says why (full, or no right to the directory `CONFIG GET dir`)",
    "OOM": "it is out of memory: free some, or raise maxmemory",
    "BUSY": "a script keeps it busy: wait, or `SCRIPT KILL`",
    "NOREPLICAS": "it takes no writes with so few replicas: mend its replicas, or lower min-replicas-to-write",
    "DENIED": "it is in protected mode, and answers its own machine alone: give its default user a password",
    "NOAUTH": "it wants a log-in first",
}
CLASSES = {
    "ReadOnlyError": "READONLY", "BusyLoadingError": "LOADING", "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN", "MovedError": "MOVED", "AskError": "ASK", "TryAgainError": "TRYAGAIN",
    "OutOfMemoryError": "OOM",
}  # fmt: skip
"""What redis-py makes of some codes."""
TEXTS = {
    "max number of clients reached": "it has as many clients as it takes (maxclients): close some, or raise maxclients",
    "NOAUTH": CODES["NOAUTH"],
    "cluster support disabled": "it is not a node of a cluster: leave cluster=yes out",
    "No such master": "it watches no primary of that name: sentinel= is the name in its `sentinel monitor NAME …`",
    "without a config file": "it was started without a configuration file: start it with one, or with an aclfile",
    "not configured to use an ACL file": "it has no aclfile: start it with an aclfile, or say save=config where "
    "redis.conf has its users, or save=no where whoever starts it gives it the password",
    "trying to save the ACLs": "it cannot write its aclfile (`CONFIG GET aclfile`): its directory must be there, and "
    "writable for the server, not read-only; its log says why",
    "Rewriting config file": "it cannot write its configuration file or the directory of that, which must be writable "
    "for the server, not read-only",
    "unknown command": "it does not know this command",
    "nknown subcommand": "it does not know this command: Redis 6 or later is needed",
}
"""What texts mean that come with the code `ERR`."""
RIGHTS = {
    "ACL": ("change users", "+acl"),
    "CLIENT": ("see and end sessions", "+client|list +client|kill"),
    "CONFIG": ("read and rewrite its configuration", "+config|get +config|rewrite"),
    "INFO": ("ask for its replicas", "+info"),
    "CLUSTER": ("ask for the nodes of the cluster", "+cluster|nodes"),
    "SENTINEL": ("ask for the servers", "+sentinel"),
}
MANAGED = (
    "it has no command ACL: renamed in redis.conf, older than Redis 6, or its vendor keeps the users. "
    "ElastiCache and MemoryDB: `aws … modify-user --passwords NEW OLD`; Azure: `az redis regenerate-keys`; "
    "Memorystore: its AUTH string; a rotator command: of yours can call these"
)


class NotAllowed(SourceRefusedError):
    """The user lacks the right to a command, or the server lacks the command."""


def refusal(error: Exception, name: str, user: str | None, command: str) -> SourceRefusedError:
    """Return in words that the server `name` said no to the user (None: nobody) who asked for `command`."""
    kind = type(error).__name__
    if kind == "NoPermissionError":
        able, right = RIGHTS.get(command, ("use a command", f"+{command.lower()}"))
        return NotAllowed(f"{name} does not let the user {user or 'default'!r} {able}; it needs {right}")
    if kind == "AuthenticationError" and str(error).startswith("Authentication required"):
        return SourceRefusedError(f"{name} {CODES['NOAUTH'].removeprefix('it ')}")
    if kind == "AuthenticationError":
        who = user or "default"
        return Refused(f"{name} refuses the user {who!r}: another password, no such user, or off; `ACL GETUSER {who}` "
                       "there says which")  # fmt: skip
    if "unknown command" in str(error) and command != "ACL":
        return NotAllowed(f"{name} has no command {command}: it was renamed or switched off in redis.conf")
    return SourceRefusedError(f"{name} failed{_as(user)}: {_why(error, command)}")


def lost(error: Exception, name: str, user: str | None, *, tls: bool, made: bool) -> str:
    """Return in words why a connection could not be made (with TLS?), or, once it was `made`, why it ended."""
    why = _why_lost(error, tls)
    if made and why.startswith("the connection ended"):
        why = "the connection ended without an answer: the server stopped, or something between cut it"
    return f"{name} failed{_as(user)}: {why}"


def _as(user: str | None) -> str:
    return "" if user is None else f", as user {user!r}"


def _why(error: Exception, command: str) -> str:
    text = str(error)
    code = CLASSES.get(type(error).__name__) or text.partition(" ")[0]
    if code in CODES:
        return CODES[code]
    if "unknown command" in text:
        return MANAGED
    for part, words in TEXTS.items():
        if part in text:
            return words
    return f"it says no to {command} ({type(error).__name__}); its log may say why"


def _why_lost(error: Exception, tls: bool) -> str:
    """`tls` is True where TLS was to be talked."""
    chain = list(_chain(error))
    kinds = {kind.__name__ for one in chain for kind in type(one).__mro__}
    text = " ".join(map(str, chain))
    if "max number of clients" in text:
        return TEXTS["max number of clients reached"]
    if "SSLCertVerificationError" in kinds:
        return "its certificate is not valid for this name, or of an authority that is not known: tls= names its file"
    if "CERTIFICATE_REQUIRED" in text or "SSLEOFError" in kinds:
        return "it ended TLS: if it wants a certificate of the client's, set tls-auth-clients to optional or no there"
    if "SSLError" in kinds:
        return "it talks no TLS as we do; has it a certificate? tls= names its authority, tls=no does without"
    if "gaierror" in kinds:
        return "there is no such host"
    if any(getattr(one, "errno", None) in (EHOSTUNREACH, ENETUNREACH) for one in chain):
        return "there is no route to it from here (Sentinels and nodes may name addresses of another network)"
    if "ConnectionRefusedError" in kinds:
        return "no connection: nothing listens there"
    if kinds & {"TimeoutError", "timeout"}:
        return f"it did not answer in time: is it down, hung, behind a firewall{', or without TLS (tls=no)' * tls}?"
    if "InvalidResponse" in kinds:
        return "what answers there is no Redis: is this its port?"
    if tls:
        return "the connection ended; has it a certificate? tls= names its authority, tls=no does without"
    return "the connection ended: the server stopped, or talks TLS only (tls=system, or its authority's file)"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

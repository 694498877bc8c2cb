"""The words: names, paths, actions, and places in an audit log."""

from __future__ import annotations

from strongroom.errors import InvalidNameError
from strongroom.system.frozen import Frozen

MAX_NAME_BYTES = 512
MAX_PATH_BYTES = 1024
"""Of a path in a store; those that strongroom makes are shorter."""
MAX_VALUE_BYTES = 16 * 1024 * 1024
HIGHEST_VERSION = (1 << 32) - 1
"""The highest number that a version can have."""
MAX_EVENT_BYTES = 16 * 1024
"""Of an event in the audit log; the longest names, actors and hosts together stay far below."""
MAX_LINE_BYTES = 4 * MAX_EVENT_BYTES
"""Of a line of the audit log that is read: torn events may stand before one that is whole."""

SECRET = "secret/"
"""Paths of heads: the current version of each secret and its metadata."""
VERSION = "version/"
"""Paths of the versions that are not current."""
AUDIT = "audit/"
"""Paths of the audit logs' checkpoints."""
ROTATION = "rotation/"
"""Paths of the secrets' rotators, and of the rotations that are under way."""
CONSUMER = "consumer/"
"""What processes report of the version that they hold is bound to these paths; it lies beside the store."""
HEADER = "system/header"
KEYSET = "system/keyset"
MANIFEST = "system/manifest"

ACTIONS = (
    "OPEN", "SET", "GET", "DELETE", "UNDELETE", "DESTROY", "ROTATE", "ROLLBACK", "LIST", "HISTORY", "METADATA",
    "VERIFY", "REKEY", "AUDIT",
)  # fmt: skip
OUTCOMES = ("intent", "ok", "not_found", "denied", "failed")

_NOT_SEGMENTS = frozenset(("", ".", ".."))


def check_name(name: str) -> str:
    """Return `name` if a secret may have it.

    A name is a path such as `POSTGRES_PASSWORD` or `auth-service/db/password`: 1 to 512 bytes of UTF-8, printable,
    with no empty, `.` or `..` segment and so no `/` at either end.

    Raises `InvalidNameError` saying which rule is broken.
    """
    # Not printable are: control characters and line separators, which would forge lines in a log or on a terminal;
    # bidirectional controls and invisible spaces, which show a name as another; surrogates, which cannot be encoded.
    good = type(name) is str and name.isprintable() and _NOT_SEGMENTS.isdisjoint(name.split("/"))
    if good and len(name.encode()) <= MAX_NAME_BYTES:
        return name
    raise InvalidNameError(f"{_show(name)} cannot be a secret's name: {_broken_rule(name)}")


def check_prefix(prefix: str) -> str:
    """Return `prefix` if names may start with it; "" stands for all, and one trailing `/` is welcome."""
    if not isinstance(prefix, str) or prefix:
        check_name(prefix.removesuffix("/") if isinstance(prefix, str) else prefix)
    return prefix


def _show(name: object) -> str:
    if not isinstance(name, str):
        return f"a {type(name).__name__}"
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def _broken_rule(name: object) -> str:
    if not isinstance(name, str):
        return "names are text (str)"
    if not name:
        return "it is empty"
    if not name.isprintable():
        return "it holds a control character or an unpaired surrogate; use printable characters"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is {len(name.encode())} bytes long; at most {MAX_NAME_BYTES} are allowed"
    return "it starts or ends with '/', or has an empty, '.' or '..' segment; write it like 'auth/db/password'"


def version_path(name: str, version: int) -> str:
    """Return where version `version` of `name` lies once it is not current."""
    return f"{VERSION}{name}/{version:010d}"


class Position(Frozen):
    """Where in an audit log a line begins."""

    __slots__ = ("log", "segment", "offset")  # noqa: RUF023

    def __init__(self, log: str, segment: int, offset: int) -> None:
        self.log = log
        """The random id (16 hex digits) that the log got when it was made."""
        self.segment = segment
        """1 for the first file of the log, one more for each rotation."""
        self.offset = offset
        """Bytes from the start of that segment."""


class LogLine(Frozen):
    """One line of an audit log as it was read back, without its line feed."""

    __slots__ = ("position", "text", "skipped")  # noqa: RUF023

    def __init__(self, position: Position, text: bytes, skipped: int = 0) -> None:
        self.position = position
        self.text = text
        """At most `MAX_LINE_BYTES`: the end of a longer line."""
        self.skipped = skipped
        """How many bytes of a longer line stand before `text`, not counting NULs, which mean nothing."""

"""Where things lie: the context that every encryption is bound to, and the walk through all entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from strongroom.errors import TamperedError
from strongroom.model import MAX_PATH_BYTES

if TYPE_CHECKING:
    from strongroom.protocols import Reader

FORMAT = 1
PAGE = 1000


def context(store: str, path: str, extra: bytes = b"") -> bytes:
    """Return the context of the entry at `path` of the store with the id `store` (32 hex digits).

    `strongroom/1` NUL, the 16 bytes of the store id, the path in UTF-8, NUL, `extra`. Paths hold no NUL, so two
    different places never share a context.
    """
    return b"strongroom/%d\0%b%b\0%b" % (FORMAT, bytes.fromhex(store), path.encode(), extra)


def entries(reader: Reader, prefix: str = "", page: int = PAGE) -> Iterator[tuple[str, bytes]]:
    """Read every entry below `prefix`, a page at a time.

    Raises `TamperedError` when the store does not list them in order: a damaged one could list in circles for ever;
    and for a path of more than `MAX_PATH_BYTES`.
    """
    after = ""
    while rows := reader.scan(prefix, after, page):
        yield from in_order(rows, after)
        if len(rows) < page:
            return
        after = rows[-1][0]


def in_order(rows: list[tuple[str, bytes]], after: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the rows of a page; raises like `entries`."""
    for path, value in rows:
        if path <= after:
            raise TamperedError(f"the store lists its entries out of order at {path!a}: restore it from a backup")
        if len(path) > MAX_PATH_BYTES or (not path.isascii() and len(path.encode("utf-8", "replace")) > MAX_PATH_BYTES):
            raise TamperedError(f"the path {path[:60]!a}… is longer than {MAX_PATH_BYTES:,} bytes, and none of ours")
        after = path
        yield path, value

"""Where a ciphertext belongs: the context that every encryption is bound to."""

from __future__ import annotations

FORMAT = 1


def context(store: str, path: str, extra: bytes = b"") -> bytes:
    """Return the context of the entry at `path` of the store with the id `store` (32 hex digits).

    `strongroom/1` NUL, the 16 bytes of the store id, the path in UTF-8, NUL, `extra`. Paths hold no NUL, so two
    different places never share a context.
    """
    return b"strongroom/%d\0%b%b\0%b" % (FORMAT, bytes.fromhex(store), path.encode(), extra)

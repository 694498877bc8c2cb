"""The files of a working tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

from strongroom.scan.matcher import Place, Trouble

SIDECARS = ("", "-wal", "-shm", "-journal", "-gen", ".lock")
"""What lies beside a store: the endings that SQLite and the drivers add to its path."""


def own_files(store: str | None) -> set[str]:
    """Return the real paths of a store's files; `store` is None for one that has no path."""
    return set() if store is None else {os.path.realpath(store) + ending for ending in SIDECARS}


def places(paths: Collection[str], own: Collection[str], trouble: Trouble) -> Iterator[Place]:
    """Yield every regular file below the paths, ignored by git or not, without `own` and the directories `.git`.

    Links inside a directory are not followed: what they lead to either is in the tree, or is no part of it.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield from _open(path, own, trouble, 0)
            continue
        for directory, inner, files in os.walk(path, onerror=lambda e: trouble(str(e.filename), str(e.strerror))):
            inner[:] = sorted(name for name in inner if name != ".git")
            for name in sorted(files):
                yield from _open(os.path.normpath(os.path.join(directory, name)), own, trouble, os.O_NOFOLLOW)


def _open(path: str, own: Collection[str], trouble: Trouble, flags: int) -> Iterator[Place]:
    try:
        if flags and not stat.S_ISREG(os.lstat(path).st_mode):
            return
        if os.path.realpath(path) in own:
            return
        # A pipe put in place of the file in between must not make us wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    except OSError as error:
        trouble(path, error.strerror or "it cannot be opened")
        return
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield Place(path, file)

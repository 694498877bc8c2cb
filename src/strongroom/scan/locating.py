"""Finds the parts of a git repository without asking git, which would obey the repository's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.errors import InvalidInputError
from strongroom.system.files import ANYBODY, open_file

_LARGEST = 64 * 1024
"""Bytes of a file that names a directory."""
_DEPTH = 5
"""Object directories that borrow from each other; git goes no deeper."""


class Located(NamedTuple):
    """Where the parts of a repository are."""

    git: str
    """What belongs to one work tree: HEAD and index."""
    common: str
    """What all work trees of the repository share: settings, references, objects."""
    objects: str
    more_objects: str
    """Further object directories, as the variable of git has them."""


def locate(start: str) -> Located:
    """Return the repository that holds the directory `start`; a hook's variables of git count, as they do for git.

    Raises `InvalidInputError`.
    """
    git = os.path.abspath(os.environ.get("GIT_DIR") or _found(start))
    common = _leads_to(os.path.join(git, "commondir"), git) or git
    objects = os.path.abspath(os.environ.get("GIT_OBJECT_DIRECTORY") or os.path.join(common, "objects"))
    more = os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")
    _check_objects(objects, 0)
    return Located(git, common, objects, more)


def _found(start: str) -> str:
    directory = os.path.abspath(start)
    while True:
        entry = os.path.join(directory, ".git")
        for candidate in (entry, _leads_to(entry, directory, b"gitdir:"), directory):
            if candidate and _is_repository(candidate):
                return candidate
        parent = os.path.dirname(directory)
        if parent == directory:
            raise InvalidInputError(f"{start} is in no git repository that can be read")
        directory = parent


def _is_repository(path: str) -> bool:
    common = _leads_to(os.path.join(path, "commondir"), path) or path
    return os.path.lexists(os.path.join(path, "HEAD")) and all(
        os.path.isdir(os.path.join(common, name)) for name in ("objects", "refs")
    )


def _leads_to(path: str, directory: str, label: bytes = b"") -> str | None:
    """Return the path that a file of git holds, below `directory` if it is relative; None for no such file."""
    if not os.path.isfile(path):
        return None
    text = _content(path)
    if not text.startswith(label):
        return None
    return os.path.join(directory, os.fsdecode(text.removeprefix(label).strip()))


def _content(path: str) -> bytes:
    try:
        with open(open_file(path, owners=ANYBODY, largest=_LARGEST, follow=True), "rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from None


def _check_objects(objects: str, depth: int) -> None:
    """Raise `InvalidInputError` when git would wait for ever, or read without end, where an object should be."""
    try:
        entries = list(_entries(objects))
    except OSError as error:
        raise InvalidInputError(f"{error.filename} cannot be read: {error.strerror}") from None
    for entry in entries:
        if not entry.is_file() and not entry.is_dir() and os.path.exists(entry.path):
            raise InvalidInputError(f"{entry.path} is no regular file, as objects of git are")
    listed = os.path.join(objects, "info", "alternates")
    if not os.path.isfile(listed) or depth >= _DEPTH:
        return
    for line in _content(listed).splitlines():
        if line.startswith(b'"'):
            raise InvalidInputError(f"{listed} quotes a path, which is not supported; write it without quotes")
        borrowed = os.path.join(objects, os.fsdecode(line))
        if line and not line.startswith(b"#") and os.path.isdir(borrowed):
            _check_objects(borrowed, depth + 1)


def _entries(objects: str) -> Iterator[os.DirEntry[str]]:
    """Yield what git may open in a directory of objects."""
    with os.scandir(objects) as directories:
        for directory in directories:
            yield directory
            if directory.is_dir() and (len(directory.name) == 2 or directory.name in ("info", "pack")):
                with os.scandir(directory.path) as files:
                    yield from files

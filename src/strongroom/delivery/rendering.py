"""Secrets as files of a directory, replaced all at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

from strongroom.delivery import file_set
from strongroom.delivery.file_set import DIRECTORY, for_directories
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.system.files import UnsafeFileError
from strongroom.system.ways import open_directory

_PATIENCE = 30.0
"""Seconds to wait for another renderer of the same directory."""


def files_of(name: str, data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return path and contents of a secret's file, or of one file for each of several fields, NAME/FIELD.

    Text is in UTF-8, bytes are as they are, other values are JSON. Raises `InvalidInputError` for a name that cannot
    be a file's.
    """
    if name.startswith(".."):
        raise InvalidInputError(f"{name!r} cannot be a file's name here; leave it out with --only", name=name)
    if list(data) == ["value"]:
        return {name: _contents(data["value"])}
    for field in data:
        if field in (".", "..") or "/" in field or "\0" in field:
            raise InvalidInputError(f"a field of {name!r} cannot be a file's name; leave it out with --only", name=name)
    return {f"{name}/{field}": _contents(value) for field, value in data.items()}


def _contents(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode("utf-8", "surrogatepass")


def render(
    directory: str | os.PathLike[str],
    files: Mapping[str, bytes],
    mode: int = 0o400,
    allowed: Callable[[int], None] = lambda _: None,
) -> None:
    """Make the directory hold these files (path → contents) and none that was rendered before, durably.

    Files get `mode`; directories can be entered by those who may read files. `allowed` gets the descriptor of the
    directory before anything is written, and raises what it likes. Raises `InvalidInputError` when one path lies below
    another, or the directory is a link, open to others, or holds something else by that name; `StrongroomError` when it
    cannot be written.
    """
    directory = os.fspath(directory)
    for path in files:
        parts = path.split("/")
        if any("/".join(parts[:end]) in files for end in range(1, len(parts))):
            raise InvalidInputError(f"{path!r} is below another secret, which cannot be file and directory at once")
    try:
        with _locked(directory, for_directories(mode)) as at:
            allowed(at)
            file_set.replace(directory, at, files, mode)
    except UnsafeFileError as error:
        raise InvalidInputError(f"{directory}: {error.strerror}") from None
    except OSError as error:
        raise StrongroomError(f"{directory} cannot be written: {error.strerror}") from None


@contextmanager
def _locked(directory: str, mode: int) -> Iterator[int]:
    """Yield the descriptor of the directory, which is made if there is none, and keep other renderers out."""
    descriptor = _opened(directory, mode)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o777 & ~mode:
            raise InvalidInputError(f"{directory} is not yours alone: make another, or chmod {mode:o} {directory}")
        _lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(directory: str, mode: int) -> int:
    above, name = os.path.split(directory.rstrip("/") or "/")
    if name in ("", ".", ".."):
        return open_directory(directory)
    parent = open_directory(above or ".")
    try:
        with suppress(FileNotFoundError):
            return _below(parent, name)
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            descriptor = _below(parent, name)
            try:
                # Not the mode of one that somebody was faster to put there.
                if os.fstat(descriptor).st_uid == os.geteuid():
                    os.fchmod(descriptor, mode)
                os.fsync(parent)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor
        return _below(parent, name)
    finally:
        os.close(parent)


def _below(parent: int, name: str) -> int:
    try:
        return os.open(name, DIRECTORY, dir_fd=parent)
    except NotADirectoryError:
        raise UnsafeFileError(name, "it is a symbolic link or no directory; give the path of a directory") from None


def _lock(descriptor: int) -> None:
    """Wait for other renderers, but not for ever: whoever can open the directory can hold the lock."""
    end = monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() > end:
                raise StrongroomError("another process has held the lock of the directory for too long") from None
            sleep(0.02)

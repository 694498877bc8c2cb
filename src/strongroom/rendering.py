"""Secrets as files of a directory, replaced all at once.

The layout is that of Kubernetes' volumes (kubernetes/pkg/volume/util/atomic_writer.go): the files lie in a directory
`..<random>`, the link `..data` leads there, and for each name at the top a link leads through `..data`. A new set is
written beside the old one and becomes the current one by the renaming of one link.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from strongroom.errors import InvalidInputError, StrongroomError

DATA = "..data"


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


def render(directory: str, files: Mapping[str, bytes], mode: int = 0o400) -> None:
    """Make the directory hold these files (path → contents) and none that was rendered before.

    Files get `mode`; directories can be entered by those who may read files. Raises `InvalidInputError` when one path
    lies below another, or the directory is open to others or holds something else by that name; `StrongroomError` when
    it cannot be written.
    """
    for path in files:
        parts = path.split("/")
        if any("/".join(parts[:end]) in files for end in range(1, len(parts))):
            raise InvalidInputError(f"{path!r} lies below another secret, which cannot be file and directory at once")
    try:
        with _locked(directory, _for_directories(mode)):
            _replace(directory, files, mode)
    except OSError as error:
        raise StrongroomError(f"{directory} cannot be written: {error.strerror}") from None


def _for_directories(mode: int) -> int:
    return 0o700 | (0o050 if mode & 0o040 else 0) | (0o005 if mode & 0o004 else 0)


@contextmanager
def _locked(directory: str, mode: int) -> Iterator[None]:
    """Make the directory if there is none, and keep other renderers out."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
        os.chmod(directory, mode)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o777 & ~mode:
            raise InvalidInputError(f"{directory} is not yours alone: make another, or chmod {mode:o} {directory}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(directory: str, files: Mapping[str, bytes], mode: int) -> None:
    tops = {path.split("/")[0] for path in files}
    for top in tops:
        if os.path.lexists(os.path.join(directory, top)) and not _ours(directory, top):
            raise InvalidInputError(f"{directory} holds a {top!r} that was not rendered; use an empty directory")
    fresh = f"..{os.urandom(8).hex()}"
    try:
        _write(os.path.join(directory, fresh), files, mode)
        _link(directory, fresh, DATA)
    except BaseException:
        _wipe(os.path.join(directory, fresh))
        raise
    for top in tops:
        if not _ours(directory, top):
            _link(directory, f"{DATA}/{top}", top)
    for entry in os.listdir(directory):
        if entry not in (DATA, fresh) and _is_set(directory, entry):
            _wipe(os.path.join(directory, entry))
        elif entry not in tops and _ours(directory, entry):
            os.unlink(os.path.join(directory, entry))


def _write(directory: str, files: Mapping[str, bytes], mode: int) -> None:
    os.mkdir(directory, 0o700)
    for path, content in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, mode)
    for place, _, _ in os.walk(directory):
        os.chmod(place, _for_directories(mode))


def _link(directory: str, target: str, name: str) -> None:
    draft = os.path.join(directory, f"..{os.urandom(8).hex()}")
    os.symlink(target, draft)
    os.rename(draft, os.path.join(directory, name))


def _ours(directory: str, name: str) -> bool:
    path = os.path.join(directory, name)
    return os.path.islink(path) and os.readlink(path) == f"{DATA}/{name}"


def _is_set(directory: str, name: str) -> bool:
    """True for a set of files, or the draft of a link, that an earlier rendering left."""
    return name.startswith("..") and len(name) == 18 and set(name[2:]) <= set("0123456789abcdef")


def _wipe(path: str) -> None:
    from shutil import rmtree

    if os.path.islink(path):
        os.unlink(path)
    else:
        rmtree(path, ignore_errors=True)

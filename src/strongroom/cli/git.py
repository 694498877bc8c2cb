"""Keeps a key file out of git."""

from __future__ import annotations

import os
from collections.abc import Sequence

from strongroom.cli.output import Output


def ignore(key_file: str, more: Sequence[str], out: Output) -> str | None:
    """List the key file and the names `more` in its directory's .gitignore, if git has to do with that directory.

    Returns the path of that .gitignore, None when there is no git or the file cannot be written, which is warned of.
    """
    directory = os.path.dirname(key_file) or "."
    path = os.path.normpath(os.path.join(directory, ".gitignore"))
    if not os.path.exists(path) and work_tree(directory) is None:
        return None
    try:
        _add(path, [os.path.basename(key_file), *more])
    except OSError as error:
        out.warn(f"{path} cannot be written ({error.strerror}); see to it that {key_file} is never committed")
        return None
    return path


def ignores(key_file: str) -> bool:
    """True when a .gitignore between the key file and the top of its work tree lists it by name or as `*.key`."""
    directory = os.path.dirname(os.path.abspath(key_file))
    name = os.path.basename(key_file)
    top = work_tree(directory)
    while top is not None:
        wanted = {name, f"/{name}", "*.key"} if directory == os.path.dirname(os.path.abspath(key_file)) else {name}
        if wanted & set(_lines(os.path.join(directory, ".gitignore"))):
            return True
        if directory == top:
            return False
        directory = os.path.dirname(directory)
    return True


def work_tree(directory: str) -> str | None:
    """Return the top of the git work tree that holds `directory`, None outside of any."""
    directory = os.path.abspath(directory)
    while not os.path.exists(os.path.join(directory, ".git")):
        if directory == os.path.dirname(directory):
            return None
        directory = os.path.dirname(directory)
    return directory


def _add(path: str, names: Sequence[str]) -> None:
    present = _lines(path)
    missing = [name for name in names if name not in present and f"/{name}" not in present]
    if not missing:
        return
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        gap = b"\n" if file.read(1) not in (b"", b"\n") else b""
        file.write(gap + b"".join(os.fsencode(name) + b"\n" for name in missing))


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            return [os.fsdecode(line.strip()) for line in file]
    except OSError:
        return []

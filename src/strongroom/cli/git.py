"""Keeps out of git what must not be committed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from strongroom import drivers
from strongroom.cli.output import Output
from strongroom.settings.config import Config, path_of
from strongroom.system import files

_LARGEST = 4 * 2**20


def ignore(config: Config, out: Output) -> list[str]:
    """List the key, the audit log and the files of the store in .gitignore, wherever git has to do with them.

    A store that moves with git is left out itself, since it is there to be committed. Returns the .gitignore files
    that list them. One that cannot be written is warned of.
    """
    places: dict[str, list[str]] = {}
    for path in _private(config):
        place, name = _listed_in(path, config.directory)
        if os.path.exists(place) or work_tree(os.path.dirname(place)) is not None:
            places.setdefault(place, []).append(name)
    return [place for place, names in places.items() if _is_listed(place, names, out)]


def _private(config: Config) -> list[str]:
    """Return the paths that must not be committed, as patterns."""
    store, log = path_of(config.store), path_of(config.audit)
    key = path_of(config.key)
    paths = [key, f"{key}.*.new"] if key else []
    if store and drivers.traits(config.store).moves_with_git:
        directory, name = os.path.split(store)
        paths += [f"{store}.lock", f"{store}-held", f"{store}.*.new", os.path.join(directory, f".{name}.*.tmp")]
    elif store:
        paths += [store, f"{store}-*", f"{store}.*.new"]
    return [*paths, log, f"{log}.*"] if log else paths


def _listed_in(path: str, project: str) -> tuple[str, str]:
    """Return the .gitignore for a path, the project's if that reaches so far, and what to call the path there."""
    directory, name = os.path.split(os.path.abspath(path))
    below = os.path.relpath(os.path.join(directory, name), project)
    if not below.startswith("..") and work_tree(project) == work_tree(directory):
        directory, name = project, below
    return os.path.relpath(os.path.join(directory, ".gitignore")), name


def _is_listed(place: str, names: Sequence[str], out: Output) -> bool:
    try:
        _add(place, names)
    except OSError as error:
        never = ", ".join(name for name in names if "*" not in name)
        out.warn(f"{place} cannot be written ({error.strerror}); never commit {never}")
        return False
    return True


def ignores(key_file: str) -> bool:
    """True when a .gitignore between the key file and the top of its work tree lists it by name or as `*.key`."""
    directory, name = os.path.split(os.path.abspath(key_file))
    wanted, below = {name, f"*{os.path.splitext(name)[1]}"}, name
    top = work_tree(directory)
    while top is not None:
        if (wanted | {below, f"/{below}"}) & set(_lines(os.path.join(directory, ".gitignore"))):
            return True
        if directory == top:
            return False
        directory, parent = os.path.split(directory)
        below = f"{parent}/{below}"
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
    """Append what is missing to the file `path` itself; raises `OSError` for a link or a second name."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        descriptor = _open(path, os.O_RDWR | os.O_APPEND)
    with open(descriptor, "r+b") as file:
        content = file.read()
        present = [os.fsdecode(line.strip()) for line in content.splitlines()]
        missing = [name for name in names if name not in present and f"/{name}" not in present]
        if missing:
            gap = b"\n" if content[-1:] not in (b"", b"\n") else b""
            file.seek(0, os.SEEK_END)
            file.write(gap + b"".join(os.fsencode(name) + b"\n" for name in missing))


def _lines(path: str) -> list[str]:
    try:
        with open(_open(path, os.O_RDONLY), "rb") as file:
            return [os.fsdecode(line.strip()) for line in file]
    except OSError:
        return []


def _open(path: str, flags: int) -> int:
    descriptor = files.open_file(path, flags, largest=_LARGEST)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise files.UnsafeFileError(path, "it is a file with several names (hard links)")
    return descriptor

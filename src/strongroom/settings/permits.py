"""What the user has allowed, remembered outside of all projects.

An entry is a file of mode 0600 in $XDG_STATE_HOME/strongroom/allowed, by default ~/.local/state/strongroom/allowed. Its
name is a hash of what was allowed, content included, so that other content is not allowed. Its lines are the project's
directory and what was allowed, for `strongroom allow --list`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from strongroom.crypto.mac import Mac
from strongroom.errors import ConfigError
from strongroom.settings import trust
from strongroom.system import files

_LARGEST = 65_536
_ELSEWHERE = "Set XDG_STATE_HOME to a directory of yours, for strongroom to remember what you allow"


def is_allowed(identity: bytes) -> bool:
    """True when the user has allowed what has this identity; raises `ConfigError` for a file that others can write."""
    directory = _directory()
    path = os.path.join(directory, _name(identity)) if directory else ""
    if not directory or not os.path.lexists(path):
        return False
    if found := trust.fault(path):
        raise ConfigError(f"{path} is not believed: {found}. {found.mend or _ELSEWHERE}")
    return True


def remember(identity: bytes, project: str, text: str) -> None:
    """Allow what has this identity; raises `ConfigError` when it cannot be remembered."""
    directory = _directory()
    if not directory:
        raise ConfigError("there is no home directory to remember that in: set HOME, or XDG_STATE_HOME to a directory")
    path = os.path.join(directory, _name(identity))
    try:
        files.make_directories(directory)
        with suppress(FileExistsError):
            files.make_new(path, lambda draft: _write(draft, f"{project}\n{text}\n"))
    except OSError as error:
        raise ConfigError(f"{error.filename or directory} cannot be written: {error.strerror}. {_ELSEWHERE}") from None
    if found := trust.fault(path):
        raise ConfigError(f"{path} would not be believed: {found}. {found.mend or _ELSEWHERE}")


def entries() -> Iterator[tuple[str, str, str]]:
    """Yield the file of each entry, the project's directory and what was allowed, in the order of the directories."""
    directory = _directory()
    found = []
    for name in os.listdir(directory) if directory and os.path.isdir(directory) else []:
        path = os.path.join(directory, name)
        with suppress(OSError, ValueError):
            descriptor = files.open_file(path, largest=_LARGEST)
            with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
                project, text = file.read().rstrip("\n").split("\n", 1)
            found.append((path, project, text))
    yield from sorted(found, key=lambda entry: entry[1:])


def forget(project: str) -> int:
    """Forget what was allowed in the directory `project`; return how much that was. Raises `ConfigError`."""
    count = 0
    for path, directory, _ in entries():
        if directory == project:
            try:
                os.unlink(path)
            except OSError as error:
                raise ConfigError(f"{path} cannot be removed: {error.strerror}") from None
            count += 1
    return count


def _name(identity: bytes) -> str:
    return Mac(bytes(32), b"strongroom allow").digest(identity).hex()


def _directory() -> str:
    """Return where entries are; empty without a home."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.environ.get("HOME", "") or _home()
        if not os.path.isabs(home):
            return ""
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "strongroom", "allowed")


def _home() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def _write(draft: str, text: str) -> None:
    with open(draft, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(file.fileno())

"""The project's directory: where its file of settings is, or its store, in the working directory or above.

What is found so is not what the user has named. `strongroom.settings.bounds` says how far it is believed.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from contextlib import suppress
from typing import Any

from strongroom.errors import ConfigError, StoreNotFoundError
from strongroom.settings import trust
from strongroom.system import files
from strongroom.system.frozen import Frozen
from strongroom.system.warning import StrongroomWarning

SETTINGS_FILE, PYPROJECT = "strongroom.toml", "pyproject.toml"
STORE_FILES = ("secrets.db", "secrets.enc")
LARGEST = 2**20
"""Bytes of a file of settings."""
_OWN_DIRECTORY = "in a directory of your own, such as: mkdir ~/secrets && cd ~/secrets"
# No \s: it takes line ends too, and then the time grows with the square of the empty lines.
_TABLE = rb"^[ \t]*\[{1,2}[ \t]*tool[ \t]*\.[ \t]*strongroom[ \t]*[].]"


class Project(Frozen):
    """A directory, and its file of settings, if it has one."""

    __slots__ = ("content", "directory", "named", "settings")

    def __init__(
        self, content: bytes = b"", directory: str = ".", named: bool = False, settings: str | None = None
    ) -> None:
        self.content = content
        """What is in the file of settings."""
        self.directory = directory
        self.named = named
        """True when the user has named the file."""
        self.settings = settings


def named(path: str) -> Project:
    """Return the project whose file of settings the user has named; raises `ConfigError`."""
    path = os.path.abspath(path)
    return Project(_read(path), os.path.dirname(path), True, path)


def find(start: str) -> Project:
    """Return the nearest project, from the directory `start` upwards; if there is none, `start` itself.

    Raises `ConfigError` for a file of settings that others than root and the user could have written, or whose
    directories could.
    """
    try:
        here = directory = os.path.abspath(start)
    except OSError as error:
        raise ConfigError(f"the working directory is gone: {error.strerror}; change to another one") from None
    while True:
        if is_there(settings := os.path.join(directory, SETTINGS_FILE)):
            return Project(_trusted(settings), directory, False, settings)
        if is_there(settings := os.path.join(directory, PYPROJECT), warn=False) and _has_table(settings):
            return Project(_trusted(settings), directory, False, settings)
        if any(is_there(os.path.join(directory, name)) for name in STORE_FILES):
            return Project(directory=directory)
        parent = os.path.dirname(directory)
        if parent == directory:
            return Project(directory=here)
        directory = parent


def parse(project: Project) -> dict[str, Any]:
    """Return the settings in the project's file; raises `ConfigError`."""
    path = project.settings
    if path is None:
        return {}
    from strongroom.settings import toml  # most projects have no such file

    try:
        document = toml.loads(project.content.decode())
    except (ValueError, RecursionError) as error:
        # ValueError: it is no TOML, no text, or has a number of thousands of digits.
        raise ConfigError(f"{path} is not TOML: {error}") from None
    if os.path.basename(path) == PYPROJECT:
        tool = document.get("tool")
        document = tool.get("strongroom", {}) if isinstance(tool, dict) else {}
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: write the settings as one table, [tool.strongroom]")
    return document


def check(what: str, path: str, otherwise: str, beside: str = "") -> None:
    """Raise `ConfigError` when others could have put this file there; `otherwise` says how to name it instead.

    `beside` is a path that has passed this check.
    """
    if found := trust.fault(path, beside):
        if found.mend:
            mend = f"run `{found.mend}`"
        elif found.owner is not None and os.geteuid() == 0:
            mend = f"run it as that user: `{files.run_as(found.owner)} strongroom …`"
        else:
            mend = "move the project to a directory of your own"
        raise ConfigError(
            f"the {what} {path} was found, not named, and is not used: {found}, so it could be somebody else's. "
            f"If it is the right one, {mend}, or {otherwise}"
        )


def check_absent(path: str) -> None:
    """Raise `StoreNotFoundError` when the store that would be the default one was passed over."""
    with suppress(FileNotFoundError):
        status = os.lstat(path)
        if trust.is_strangers(path, status):
            raise StoreNotFoundError(
                f"there is no store of yours here: {path} belongs to another user (uid {status.st_uid}), and anybody "
                f"could put it there. Work {_OWN_DIRECTORY}, or name a store with --store or STRONGROOM_STORE"
            )


def check_new(directory: str) -> None:
    """Raise `ConfigError` for a directory in which a new store would not be found afterwards."""
    if found := trust.fault(directory):
        mend = f"Run `{found.mend}`, or work" if found.mend else "Work"
        raise ConfigError(
            f"nothing is made in {directory}, as others could change it: {found}. {mend} {_OWN_DIRECTORY}, "
            "or name everything, each time: --store, --key, --audit"
        )


def is_there(path: str, *, warn: bool = True) -> bool:
    """True for a file or link at `path` that counts, whether it may be used or must be complained about."""
    try:
        status = os.lstat(path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return False
        if not trust.is_strangers(path, status):
            return True
    except OSError:
        return False
    if warn:
        message = f"{path} is passed over: user {status.st_uid} put it into a directory where everybody can"
        warnings.warn(message, StrongroomWarning, stacklevel=6)
    return False


def _has_table(project: str) -> bool:
    # Reading TOML costs milliseconds at start-up; most projects have no such table.
    return re.search(_TABLE, _read(project), re.MULTILINE) is not None


def _trusted(settings: str) -> bytes:
    check("file of settings", settings, "name it with --config or STRONGROOM_CONFIG")
    return _read(settings)


def _read(path: str) -> bytes:
    try:
        # Anybody's: what is read is judged by its way, or was named.
        descriptor = files.open_file(path, owners=(os.stat(path).st_uid,), largest=LARGEST, follow=True)
        with open(descriptor, "rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and os.path.islink(path):
            raise ConfigError(f"{path} is a link to a file that is not there; remove it, or make that file") from None
        raise ConfigError(f"{path!a} cannot be read: {getattr(error, 'strerror', None) or error}") from None

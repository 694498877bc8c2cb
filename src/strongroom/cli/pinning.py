"""Lets the settings name the store that `init` makes, so that no other one can take its place."""

from __future__ import annotations

import os

from strongroom import drivers
from strongroom.cli import git
from strongroom.cli.output import Output
from strongroom.errors import ConfigError
from strongroom.settings.config import Config
from strongroom.system import files

NAME = "strongroom.toml"
_CONTENT = """\
# Made by `strongroom init`. Another store in the place of this one is refused.
store_id = "%s"
"""


def released(config: Config) -> Config:
    """Return the settings for a new store: without the id of an earlier one, if `init` wrote that and nobody since.

    Raises `ConfigError` when somebody else has named a store.
    """
    if not config.store_id:
        return config
    path = os.path.join(config.directory, NAME)
    if _read(path) == _CONTENT % config.store_id:
        return config._replace(store_id="")
    raise ConfigError(
        f"the settings name the store {config.store_id} (store_id), which is not there, and a new one would be "
        "another: put that store back, or remove store_id from the settings"
    )


def pin(config: Config, store_id: str, out: Output) -> str | None:
    """Write the id of a new store into a file of settings of its own, and return its path; None where there is none."""
    path = os.path.relpath(os.path.join(config.directory, NAME))
    if not _is_wanted(config, path):
        return None
    try:
        if os.path.lexists(path):
            os.unlink(path)
        files.make_new(path, lambda draft: _write(draft, _CONTENT % store_id))
    except OSError as error:
        out.warn(f"{path} cannot be written ({error.strerror}), so the settings do not name the store {store_id}")
        return None
    return path


def _is_wanted(config: Config, path: str) -> bool:
    if "store" in config.chosen:
        return False
    if not drivers.traits(config.store).moves_with_git and git.work_tree(config.directory) is not None:
        return False
    found = _read(path)
    if found is not None:
        return found.startswith(_CONTENT.partition("%")[0]) and len(found) == len(_CONTENT % ("x" * 32))
    project = _read(os.path.join(config.directory, "pyproject.toml")) or ""
    return not os.path.lexists(path) and "strongroom" not in project


def _read(path: str) -> str | None:
    try:
        descriptor = files.open_file(path, largest=1 << 20)
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _write(draft: str, content: str) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        files.write_all(descriptor, content.encode())
        os.fchmod(descriptor, 0o644)  # it holds no secret, and the service may run as another user
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

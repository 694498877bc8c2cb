"""Settings: arguments override `STRONGROOM_*` variables, which override a file, which overrides the defaults.

The file is `strongroom.toml`, or the table `[tool.strongroom]` of `pyproject.toml`, of the nearest directory upwards
that has one. Paths in a file are relative to it; all others to the working directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from strongroom.errors import ConfigError
from strongroom.frozen import Frozen

VARIABLE = "SECRETS_MASTER_KEY"
STORE_FILES = ("secrets.db", "secrets.enc")
KEY_FILE = "master.key"
LOG_FILE = os.path.join("logs", "secrets_audit.log")
_SCHEMES_WITH_PATHS = ("sqlite", "file", "passphrase")


class Config(Frozen):
    """Where everything is. Drivers are written `scheme:rest`."""

    __slots__ = (  # noqa: RUF023
        "store", "key", "audit", "actor", "service", "sync", "audit_max_bytes", "audit_keep", "max_versions",
        "on_rollback", "on_error", "store_id", "policy", "chosen", "directory",
    )  # fmt: skip

    def __init__(
        self,
        store: str = "sqlite:secrets.db",
        key: str = f"env:{VARIABLE}",
        audit: str = "file:logs/secrets_audit.log",
        actor: str = "",
        service: str = "",
        sync: str = "write",
        audit_max_bytes: int = 64 * 1024 * 1024,
        audit_keep: int = 0,
        max_versions: int = 10,
        on_rollback: str = "",
        on_error: str = "raise",
        store_id: str = "",
        policy: tuple[Mapping[str, Any], ...] = (),
        chosen: frozenset[str] = frozenset(),
        directory: str = ".",
    ) -> None:
        self.store = store
        self.key = key
        self.audit = audit
        self.actor = actor
        """Who acts; empty for the operating system's user."""
        self.service = service
        """Which program acts; empty for the name of the running script."""
        self.sync = sync
        """`write`: events survive SIGKILL. `fsync`: they survive power loss."""
        self.audit_max_bytes = audit_max_bytes
        """Size at which the audit log goes on in a new file; 0 for never."""
        self.audit_keep = audit_keep
        """How many older files of the audit log are kept; 0 for all."""
        self.max_versions = max_versions
        self.on_rollback = on_rollback
        """What to do when the store is older than the audit log says: `refuse` or `warn`; empty for the store's own
        default, which is `refuse`, and `warn` for the file store (git moves it back and forth)."""
        self.on_error = on_error
        """What `get_secret_or_env` does when the store is there but refuses: `raise`, or `fallback` with a warning."""
        self.store_id = store_id
        """The id of the store that is meant (32 hex digits): another one in its place is refused. Empty for any."""
        self.policy = policy
        self.chosen = chosen
        """The settings that somebody chose; the others are defaults."""
        self.directory = directory
        """Where the file of settings is, or the default store, or else the working directory."""


_DEFAULTS = Config()
_CHOICES = {
    "sync": ("write", "fsync"),
    "on_rollback": ("", "refuse", "warn"),
    "on_error": ("raise", "fallback"),
}
_NAMES = tuple(name for name in Config.__slots__ if name not in ("chosen", "directory"))


def load(environ: Mapping[str, str] | None = None, start: str = ".", **arguments: Any) -> Config:
    """Return the settings as seen from the directory `start`; an argument that is None was not given.

    Raises `ConfigError` naming the setting and where it was found.
    """
    environ = os.environ if environ is None else environ
    directory, found = _nearest(start)
    chosen: dict[str, Any] = {}
    for source, settings in (
        (found or "", _from_file(found, directory) if found else {}),
        ("environment", _from_environment(environ)),
        ("argument", {name: value for name, value in arguments.items() if value is not None}),
    ):
        if "store" in settings:
            chosen.pop("store_id", None)  # it is that of another store
        for name, value in settings.items():
            chosen[name] = _checked(name, value, source)
    config = Config(**chosen, chosen=frozenset(chosen), directory=directory)
    return _with_defaults(config, environ)


def _nearest(start: str) -> tuple[str, str | None]:
    """Return the project's directory and its file of settings, if it has one."""
    here = directory = os.path.abspath(start)
    while True:
        settings = os.path.join(directory, "strongroom.toml")
        if os.path.isfile(settings):
            return directory, settings
        project = os.path.join(directory, "pyproject.toml")
        if os.path.isfile(project) and _has_table(project):
            return directory, project
        if any(os.path.isfile(os.path.join(directory, name)) for name in STORE_FILES):
            return directory, None
        parent = os.path.dirname(directory)
        if parent == directory:
            return here, None
        directory = parent


def _has_table(project: str) -> bool:
    # Reading TOML costs milliseconds at start-up; most projects have no such table.
    try:
        with open(project, "rb") as file:
            return re.search(rb"^\s*\[{1,2}\s*tool\s*\.\s*strongroom\s*[].]", file.read(), re.MULTILINE) is not None
    except OSError as error:
        raise ConfigError(f"{project} cannot be read: {error.strerror}") from None


def _from_file(path: str, directory: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    if path.endswith("pyproject.toml"):
        tool = document.get("tool")
        document = tool.get("strongroom", {}) if isinstance(tool, dict) else {}
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: write the settings as one table, [tool.strongroom]")
    for name in ("store", "key", "audit"):
        if isinstance(document.get(name), str):
            document[name] = _anchored(document[name], directory)
    return document


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name in _NAMES:
        text = environ.get(f"STRONGROOM_{name.upper()}", "")
        if text and name != "policy":
            settings[name] = _number(name, text) if isinstance(getattr(_DEFAULTS, name), int) else text
    return settings


def _number(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ConfigError(f"STRONGROOM_{name.upper()} is {text!r}; give a whole number")
    return int(text)


def _checked(name: str, value: Any, source: str) -> Any:
    place = source or "settings"
    if name not in _NAMES:
        raise ConfigError(f"{place}: there is no setting {name!r}; there are: {', '.join(_NAMES)}")
    if name == "policy":
        if not isinstance(value, list | tuple) or not all(isinstance(rule, Mapping) for rule in value):
            raise ConfigError(f"{place}: policy is a list of tables, [[policy]]")
        return tuple(value)
    if type(value) is not type(getattr(_DEFAULTS, name)):
        kind = "a whole number" if isinstance(getattr(_DEFAULTS, name), int) else "text"
        raise ConfigError(f"{place}: {name} must be {kind}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ConfigError(f"{place}: {name} is {value!r}; use one of: {', '.join(filter(None, _CHOICES[name]))}")
    if name == "store_id" and not re.fullmatch("([0-9a-f]{32})?", value):
        raise ConfigError(f"{place}: store_id has 32 hex digits, as `strongroom doctor` shows them")
    if name == "max_versions" and not 1 <= value <= 10_000:
        raise ConfigError(f"{place}: max_versions is {value}; give a number from 1 to 10,000")
    if isinstance(value, int) and value < 0:
        raise ConfigError(f"{place}: {name} is {value}; give 0 or more")
    return value


def _anchored(url: str, directory: str) -> str:
    """Make the relative path of a driver's URL one that starts from `directory`."""
    scheme, colon, path = url.partition(":")
    if not colon or "/" in scheme:
        return os.path.join(directory, url)
    if scheme in _SCHEMES_WITH_PATHS and path:
        return f"{scheme}:{os.path.join(directory, path)}"
    return url


def _with_defaults(config: Config, environ: Mapping[str, str]) -> Config:
    """Find the default store, key and audit log in the project's directory."""
    near = os.path.relpath(config.directory)
    if "store" not in config.chosen:
        there = [name for name in STORE_FILES if os.path.isfile(os.path.join(config.directory, name))]
        name = there[0] if there else STORE_FILES[0]
        scheme = "sqlite" if name.endswith(".db") else "file"
        config = config._replace(store=f"{scheme}:{os.path.normpath(os.path.join(near, name))}")
    if "audit" not in config.chosen:
        log = os.path.normpath(os.path.join(near, LOG_FILE))
        config = config._replace(audit=f"file:{log}")
    if "key" not in config.chosen and not environ.get(VARIABLE):
        for directory in (os.path.dirname(path_of(config.store) or ""), near):
            beside = os.path.normpath(os.path.join(directory, KEY_FILE))
            if os.path.exists(beside):
                return config._replace(key=f"file:{beside}")
    return config


def path_of(url: str) -> str | None:
    """Return the path that a driver's URL names, None for a driver without one."""
    scheme, colon, path = url.partition(":")
    if not colon or "/" in scheme:
        return url
    return path if scheme in _SCHEMES_WITH_PATHS and path else None


def address_of(url: str) -> str:
    """Return the URL of a store as its audit log knows it: with an absolute path; empty for one without a path."""
    path = path_of(url)
    return f"{url.partition(':')[0]}:{os.path.abspath(path)}" if path and ":" in url else ""

"""Settings: arguments override `STRONGROOM_*` variables, which override a file, which overrides the defaults.

The file is the one that `STRONGROOM_CONFIG` or an argument names, else `strongroom.toml`, or the table
`[tool.strongroom]` of `pyproject.toml`, of the nearest directory upwards that has one. Paths in a file are relative to
it; all others to the working directory. `strongroom.settings.bounds` says what a file that was not named may say.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from strongroom.arguments import check_who
from strongroom.errors import ConfigError
from strongroom.settings import bounds, discovery
from strongroom.settings.discovery import STORE_FILES, Project
from strongroom.system.frozen import Frozen
from strongroom.urls import PATHS, Url, names_a_user

VARIABLE = "SECRETS_MASTER_KEY"
KEY_FILE = "master.key"
HOOKS = ("command:/", "webhook:")
LOG_FILE = os.path.join("logs", "secrets_audit.log")
_SCHEMES_WITH_PATHS = ("sqlite", "file", "passphrase")


class Config(Frozen):
    """Where everything is. Drivers are written `scheme:rest`."""

    __slots__ = (  # noqa: RUF023
        "store", "key", "audit", "actor", "service", "instance", "sync", "audit_max_bytes", "audit_keep",
        "max_versions", "on_rollback", "rotation_hook", "on_error", "store_id", "policy", "chosen", "directory",
    )  # fmt: skip

    def __init__(
        self,
        store: str = "sqlite:secrets.db",
        key: str = f"env:{VARIABLE}",
        audit: str = "file:logs/secrets_audit.log",
        actor: str = "",
        service: str = "",
        instance: str = "",
        sync: str = "write",
        audit_max_bytes: int = 64 * 1024 * 1024,
        audit_keep: int = 0,
        max_versions: int = 10,
        on_rollback: str = "",
        rotation_hook: str = "",
        on_error: str = "raise",
        store_id: str = "",
        policy: tuple[Mapping[str, Any], ...] = (),
        chosen: frozenset[str] = frozenset(),
        directory: str = ".",
    ) -> None:
        # As text in a message each is what may be shown; drivers and `path_of` see what was typed.
        self.store = Url(store)
        self.key = Url(key)
        self.audit = Url(audit)
        self.actor = actor
        """Who acts; empty for the operating system's user."""
        self.service = service
        """Which program acts; empty for the name of the running script."""
        self.instance = instance
        """Which of several containers or machines of a service acts; empty for the host name alone."""
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
        self.rotation_hook = rotation_hook
        """The program or the service that is told of rotations that fail: `command:PATH` or `webhook:URL`."""
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
_VARIABLES = {f"STRONGROOM_{name.upper()}": name for name in _NAMES if name != "policy"}
CONFIG_VARIABLE = "STRONGROOM_CONFIG"
_OTHER_VARIABLES = (CONFIG_VARIABLE, "STRONGROOM_PASSPHRASE", "STRONGROOM_SELFTEST_KEY")


class Review(Frozen):
    """The settings, where they come from, and what of them needs the user's permission."""

    __slots__ = ("claims", "config", "project")

    def __init__(self, claims: tuple[bounds.Claim, ...], config: Config, project: Project) -> None:
        self.claims = claims
        self.config = config
        self.project = project


def load(
    environ: Mapping[str, str] | None = None, start: str = ".", config: str | None = None, **arguments: Any
) -> Config:
    """Return the settings as seen from the directory `start`; an argument that is None was not given.

    `config` names the file of settings, in place of the one that is found.

    Raises `ConfigError` naming the setting and where it was found, or the file that is not believed, and
    `StoreNotFoundError` when the only store is one that a stranger could put there.
    """
    reviewed = review(environ, start, config, **arguments)
    if reviewed.claims:
        _refuse_what_is_not_allowed(reviewed)
    return reviewed.config


def review(
    environ: Mapping[str, str] | None = None, start: str = ".", config: str | None = None, **arguments: Any
) -> Review:
    """Return what `load` does, without asking whether the user has allowed it."""
    environ = os.environ if environ is None else environ
    name = config if config is not None else environ.get(CONFIG_VARIABLE)
    project = discovery.named(name) if name else discovery.find(start)
    said = _from_file(project)
    if environ.get(VARIABLE) and not project.named:
        # What the user has put into the environment counts more than what lies in a directory.
        said.pop("key", None)
    variables = [variable for variable in environ if variable.startswith("STRONGROOM_")]
    given = _from_environment(environ, variables)
    if arguments.get("store") is not None:
        given.pop("store_id", None)  # it is that of another store
    for setting, value in arguments.items():
        if value is not None:
            given[setting] = _checked(setting, value, "argument")
    if "store" in given:
        said.pop("store_id", None)
    said = {setting: value for setting, value in said.items() if setting not in given}
    chosen = {**said, **given}
    found: dict[str, str] = {}
    merged = Config(**chosen, chosen=frozenset(chosen), directory=project.directory)
    # It has been judged, and with it the way to what lies beside it.
    judged = "" if project.named else project.settings or ""
    merged = _with_defaults(merged, environ, found, judged, named=project.named)
    if variables:
        _check_spelling(variables, merged.key)
    return Review(_claims(project, said, found), merged, project)


def _from_file(project: Project) -> dict[str, Any]:
    if project.settings is None:
        return {}
    document = {name: _checked(name, value, project.settings) for name, value in discovery.parse(project).items()}
    for name in ("store", "key", "audit"):
        if name in document:
            if "\0" in document[name]:
                raise ConfigError(f"{project.settings}: {name} has a NUL character")
            document[name] = _anchored(document[name], project.directory)
    return document


def _from_environment(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for variable in variables:
        if variable in _VARIABLES and (text := environ[variable]):
            name = _VARIABLES[variable]
            value = _number(name, text) if isinstance(getattr(_DEFAULTS, name), int) else text
            settings[name] = _checked(name, value, "environment")
    return settings


def _check_spelling(variables: Iterable[str], key: str) -> None:
    known = {*_VARIABLES, *_OTHER_VARIABLES, key.removeprefix("env:")}
    if unknown := [variable for variable in variables if variable not in known]:
        from strongroom.settings.spelling import check_variable

        for variable in unknown:
            check_variable(variable, [*_VARIABLES, *_OTHER_VARIABLES])


def _number(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ConfigError(f"STRONGROOM_{name.upper()} is {text!r}; give a whole number")
    return int(text)


def _checked(name: str, value: Any, source: str) -> Any:
    if name not in _NAMES:
        raise ConfigError(f"{source}: there is no setting {name!r}; there are: {', '.join(_NAMES)}")
    if name == "policy":
        if not isinstance(value, list | tuple) or not all(isinstance(rule, Mapping) for rule in value):
            raise ConfigError(f"{source}: policy is a list of tables, [[policy]]")
        return tuple(value)
    is_number = isinstance(getattr(_DEFAULTS, name), int)
    if type(value) is not int if is_number else not isinstance(value, str):
        kind = "a whole number" if is_number else "text"
        raise ConfigError(f"{source}: {name} must be {kind}")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ConfigError(f"{source}: {name} is far too large a number")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ConfigError(f"{source}: {name} is {value!r}; use one of: {', '.join(filter(None, _CHOICES[name]))}")
    if name in ("actor", "service", "instance") and value:
        check_who(name, value, source)
    if name == "rotation_hook" and value and not value.startswith(HOOKS):
        raise ConfigError(f"{source}: rotation_hook is command:/PATH of a program, or webhook:https://… of a service")
    if name in ("store", "key", "audit"):
        scheme, _, rest = value.partition(":")
        if scheme in PATHS and names_a_user(rest):
            raise ConfigError(f"{source}: {name} is a path or a name after {scheme}:, not a server with a user")
    if name == "store_id" and not re.fullmatch("([0-9a-f]{32})?", value):
        raise ConfigError(f"{source}: store_id has 32 hex digits, as `strongroom doctor` shows them")
    if name == "max_versions" and not 1 <= value <= 10_000:
        raise ConfigError(f"{source}: max_versions is {value}; give a number from 1 to 10,000")
    if isinstance(value, int) and not 0 <= value < 10**18:
        raise ConfigError(f"{source}: {name} is {value}; give 0 or more, of at most 18 digits")
    return value


def _anchored(url: str, directory: str) -> str:
    """Make the relative path of a driver's URL one that starts from `directory`."""
    scheme, colon, path = url.partition(":")
    if not colon or "/" in scheme:
        return os.path.join(directory, url)
    if scheme in _SCHEMES_WITH_PATHS and path:
        return f"{scheme}:{os.path.join(directory, path)}"
    return url


def _with_defaults(
    config: Config, environ: Mapping[str, str], found: dict[str, str], judged: str, *, named: bool
) -> Config:
    """Find the default store, key and audit log in the project's directory, and enter their URLs into `found`.

    `judged` is a path in that directory that nobody else can change, or empty.

    With `named`, the user has named the file of settings. Who could replace the store beside it could replace that too,
    except in a sticky directory, where others can add files only.
    """
    near = os.path.relpath(config.directory)
    if "store" not in config.chosen:
        there = [name for name in STORE_FILES if discovery.is_there(os.path.join(config.directory, name), warn=False)]
        name = there[0] if there else STORE_FILES[0]
        scheme = "sqlite" if name.endswith(".db") else "file"
        path = os.path.normpath(os.path.join(near, name))
        config = config._replace(store=f"{scheme}:{path}")
        if there:
            found["store"] = config.store
        if not named or (there and os.stat(config.directory).st_mode & stat.S_ISVTX):
            _check_store(os.path.join(config.directory, name), config.store, judged, there=bool(there))
    if "audit" not in config.chosen:
        log = os.path.normpath(os.path.join(near, LOG_FILE))
        config = config._replace(audit=f"file:{log}")
        found["audit"] = config.audit
    if "key" not in config.chosen and not environ.get(VARIABLE):
        for directory in (os.path.dirname(path_of(config.store) or ""), near):
            beside = os.path.normpath(os.path.join(directory, KEY_FILE))
            if discovery.is_there(os.path.abspath(beside)):
                found["key"] = f"file:{beside}"
                return config._replace(key=f"file:{beside}")
    return config


def _check_store(path: str, url: str, judged: str, *, there: bool) -> None:
    if there:
        discovery.check("store", path, f"name it: --store {url}", judged)
    else:
        discovery.check_absent(path)


def _claims(project: Project, said: Mapping[str, Any], found: Mapping[str, str]) -> tuple[bounds.Claim, ...]:
    return tuple(bounds.claims(project, said, found))


def _refuse_what_is_not_allowed(reviewed: Review) -> None:
    from strongroom.settings import permits

    refused = [claim for claim in reviewed.claims if not permits.is_allowed(claim.identity)]
    if refused:
        settings = [claim for claim in refused if claim.settings]
        first, others = (settings or refused)[0], len(refused) - 1
        where = reviewed.project.settings if settings else f"what is in {reviewed.project.directory}"
        rest = f" (and {others} more: `strongroom doctor` lists all)" if others else ""
        # Who names the file of settings names its directory too.
        mends = [first.mend] if settings else dict.fromkeys(claim.mend for claim in refused)
        raise ConfigError(
            f"{where} was found, not named, and needs your permission: {first.text}{rest}. "
            f"If you trust it, run `strongroom allow` there, or name it: {', '.join(mends)}"
        )


def path_of(url: str) -> str | None:
    """Return the path that a driver's URL names, None for a driver without one."""
    scheme, colon, path = url.partition(":")
    if not colon or "/" in scheme:
        return url
    return path if scheme in _SCHEMES_WITH_PATHS and path else None


def key_file_of(url: str) -> str | None:
    """Return the path of the file that holds the key itself, None for a key that lies elsewhere."""
    scheme, _, path = url.partition(":")
    return path if scheme == "file" and path else None


def address_of(url: str) -> str:
    """Return the URL of a store as its audit log knows it: with an absolute path; empty for one without a path."""
    path = path_of(url)
    return f"{url.partition(':')[0]}:{os.path.abspath(path)}" if path and ":" in url else ""

"""How far settings are believed that were found and not named: what needs the user's permission (`strongroom allow`).

A directory may be a stranger's although all its files are the user's: a clone, an unpacked archive. So what was found
there reaches no file outside of it, weakens nothing, and brings no key along. Each `Claim` goes beyond that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from strongroom.settings import trust
from strongroom.settings.discovery import Project, check
from strongroom.system import files
from strongroom.system.frozen import Frozen
from strongroom.urls import shown

_FILES = {"store": ("sqlite", "file"), "key": ("file", "passphrase"), "audit": ("file",)}
"""For each setting that names a driver, the schemes whose rest is a path."""
_NEVER_KEYS = ("/proc", "/sys", "/dev")
"""Here are private files whose content everybody knows."""
_WORDS = {"store": "store", "key": "master key", "audit": "audit log"}


class Claim(Frozen):
    """Something that needs permission."""

    __slots__ = ("identity", "key", "mend", "settings", "text")

    def __init__(self, identity: bytes, key: str, mend: str, settings: bool, text: str) -> None:
        self.identity = identity
        """What is allowed, content included: permission for this identity is for nothing else."""
        self.key = key
        """The path of the key file that was not made here; empty when the claim is about something else."""
        self.mend = mend
        """How to name it instead."""
        self.settings = settings
        """True for what the file of settings says."""
        self.text = text


def path_in(name: str, url: str) -> str | None:
    """Return the path that the driver URL of the setting `name` names, None for one without a path."""
    scheme, colon, path = url.partition(":")
    if not colon or "/" in scheme:
        return url
    return path if scheme in _FILES[name] and path else None


def claims(project: Project, said: Mapping[str, Any], found: Mapping[str, str]) -> Iterator[Claim]:
    """Yield what goes beyond the bounds.

    `said` are the settings of the project's file that count, with absolute paths; `found` are the URLs of store, key
    and audit log that nobody named, and that are there by default. Raises `ConfigError` for a key that others could
    have put there.
    """
    believed = project.named or project.settings is None or trust.is_roots(project.settings)
    if not believed:
        yield from _of_settings(project, said)
    if not project.named:
        for name in ("store", "audit"):
            if name in found and may_be_a_link(found[name]):
                yield from _of_link(name, found[name], project.directory)
    if "key" in found:
        key = os.path.abspath(found["key"].partition(":")[2])
        if os.path.islink(key):
            # It may be beside a store that was named, elsewhere.
            yield from _of_link("key", found["key"], os.path.dirname(key))
        store = os.path.abspath(found["store"].partition(":")[2]) if "store" in found else ""
        yield from _of_key(found["key"], key, store)
    elif "key" in said and not believed:
        path = path_in("key", said["key"])
        if path is not None and os.path.lexists(path):
            yield from _of_key(said["key"], path)


def may_be_a_link(url: str) -> bool:
    """True for the URL of a default store or log that is a link, or whose directory is one."""
    path = url.partition(":")[2]
    return os.path.islink(path) or os.path.islink(os.path.dirname(path))


def is_known(path: str) -> bool:
    """True for a key file that `strongroom` has made or accepted here, or root has put where this user cannot."""
    return files.is_marked(path) or trust.is_roots(os.path.dirname(path) or os.curdir)


def key_claim(path: str) -> Claim:
    """Return what allows this key file; another file in its place is not allowed."""
    status = os.stat(path)
    # No hash of the content: it would help to guess a passphrase. Nobody can choose the time of a file's last change.
    identity = _identity("key", os.path.realpath(path), str(status.st_ino), str(status.st_ctime_ns))
    text = f"the master key {path} was not made here by strongroom, so whoever made it may have a copy"
    return Claim(identity, path, f"STRONGROOM_KEY=file:{os.path.abspath(path)}", False, text)


def accept_key(path: str) -> None:
    """Let a key file that strongroom made, or the user named, be found from now on; raises `ConfigError`, `OSError`."""
    if not is_known(path) and not files.mark(path):
        from strongroom.settings import permits

        claim = key_claim(path)
        permits.remember(claim.identity, os.path.dirname(os.path.abspath(path)), claim.text)


def _of_settings(project: Project, said: Mapping[str, Any]) -> Iterator[Claim]:
    settings, content = str(project.settings), project.content.decode("utf-8", "surrogateescape")

    def claim(text: str) -> Claim:
        mend = f"STRONGROOM_CONFIG={os.path.realpath(settings)}"
        return Claim(_identity("settings", settings, content, text), "", mend, True, text)

    if _leaves(settings, project.directory):
        yield claim(f"the file of settings is a link to {os.path.realpath(settings)}")
    for name in _FILES:
        if name in said:
            yield from _of_url(name, said[name], project.directory, claim)
    for name, is_weak, text in _WEAKER:
        if name in said and is_weak(said[name]):
            yield claim(f"{name} = {said[name]!r}: {text}")
    if hook := said.get("rotation_hook"):
        yield claim(f"rotation_hook = {_shown(hook)!r}: it is run, or called, when a rotation fails")


_WEAKER: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("audit_keep", lambda value: value > 0, "older parts of the audit log are removed"),
    ("audit_max_bytes", lambda value: 0 < value < 65_536, "the audit log falls into very many files"),
    ("on_rollback", lambda value: value == "warn", "an old copy of the store is accepted"),
    ("on_error", lambda value: value == "fallback", "the environment answers when the store refuses"),
)


def _of_url(name: str, url: str, directory: str, claim: Callable[[str], Claim]) -> Iterator[Claim]:
    path = path_in(name, url)
    if path is None:
        scheme = url.partition(":")[0]
        if (name, scheme) not in (("key", "env"), ("key", "passphrase")):
            # What follows the scheme may be a password, and so may a scheme that is none.
            yield claim(f"{name} = '{shown(url)}' is no file of the project, and may name a program of its own")
    elif _leaves(path, directory):
        yield claim(f"{name} is outside of {directory}: {os.path.realpath(path)}")
    elif name == "key" and f"{os.path.realpath(path)}/".startswith(tuple(f"{place}/" for place in _NEVER_KEYS)):
        yield claim(f"the content of {path} is no secret")
    elif name == "audit" and not path.endswith(".log"):
        yield claim(f"the name of the audit log {path} does not end in .log")


def _of_link(name: str, url: str, directory: str) -> Iterator[Claim]:
    """What was found may be a link, or lie behind one, that a clone has brought along."""
    path = path_in(name, url)
    if path is not None and _leaves(path, directory) and not trust.is_roots(path):
        real = os.path.realpath(path)
        text = f"the {_WORDS[name]} {path} leads out of {directory}, to {real}"
        mend = f"STRONGROOM_{name.upper()}={url.partition(':')[0]}:{real}"
        yield Claim(_identity("link", os.path.abspath(path), real), "", mend, False, text)


def _of_key(url: str, path: str, beside: str = "") -> Iterator[Claim]:
    check("master key", path, f"name it with --key or STRONGROOM_KEY, such as {url}", beside)
    if os.path.exists(path) and not is_known(path):
        yield key_claim(path)


def _shown(hook: str) -> str:
    """Return the program, or the host of a service alone: the path of a webhook may be a password."""
    if hook.startswith("webhook:"):
        return "/".join(hook.partition("#")[0].split("/")[:3]).rpartition("@")[2]
    return hook.partition("?")[0]


def _leaves(path: str, directory: str) -> bool:
    """True when the path leads out of the directory, links followed."""
    if _goes_straight(path, directory):
        return False
    real, base = os.path.realpath(path), os.path.realpath(directory)
    return not real.startswith(base if base == "/" else f"{base}/")


def _goes_straight(path: str, directory: str) -> bool:
    """True when the path goes on from the directory without a link and without `..`, as most do."""
    if not path.startswith(f"{directory}/"):
        return False
    here = directory
    for part in path[len(directory) + 1 :].split("/"):
        here = f"{here}/{part}"
        if part in ("", ".", "..") or os.path.islink(here):
            return False
    return True


def _identity(kind: str, *parts: str) -> bytes:
    return "\0".join((kind, *parts)).encode("utf-8", "surrogateescape")

"""A scratch installation for `selftest`: a new store of the configured kinds, in a directory that is removed again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from strongroom import generate_master_key, opening
from strongroom.key_providers.file import create
from strongroom.manager.opened import OpenedStore
from strongroom.settings.config import Config

VARIABLE = "STRONGROOM_SELFTEST_KEY"
_READER = """
import hashlib, sys, strongroom
store, key, audit, name = sys.argv[1:]
with strongroom.open(store, key, audit, service="selftest-reader") as secrets:
    print("ready", flush=True)
    for line in sys.stdin:
        print(hashlib.sha256(secrets.get_secret(name).encode()).hexdigest(), flush=True)
"""


class Scratch:
    """Where the scratch store, its key and its audit log are."""

    def __init__(self, directory: str, config: Config) -> None:
        self.directory = directory
        kind = _kind(config.store, "sqlite", ("file", "sqlite"))
        self.store = f"{kind}:{directory}/store/secrets.{'enc' if kind == 'file' else 'db'}"
        self.audit = f"file:{directory}/logs/secrets_audit.log"
        self.key = _make_key(_kind(config.key, "file", ("env", "file", "passphrase")), directory)
        self.not_tried = _not_tried({
            "store": (config.store, self.store), "key provider": (config.key, self.key),
            "audit sink": (config.audit, self.audit),
        })  # fmt: skip
        """What the configured kinds are that are not tried here, in words."""
        self._config = Config(self.store, self.key, self.audit, service="selftest", sync=config.sync)

    def init(self) -> None:
        """Make the store."""
        opening.init(settings=self._config, source="cli").close()

    def open(self, key: str | None = None) -> OpenedStore:
        """Unlock the store, with another key if one is given."""
        return opening.open(settings=self._config._replace(key=key or self.key), source="cli")

    def other_key(self) -> str:
        """Make a master key that is not this store's."""
        path = f"{self.directory}/other.key"
        create(path, generate_master_key())
        return f"file:{path}"

    def command(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run `strongroom` as a process of its own."""
        where = ("--store", self.store, "--key", self.key, "--audit", self.audit)
        argv = [sys.executable, "-m", "strongroom", *where, *words]
        return subprocess.run(  # noqa: S603
            argv, capture_output=True, env=_environment(), cwd=self.directory, timeout=60, check=False
        )

    @contextmanager
    def reader(self, name: str) -> Iterator[subprocess.Popen[str]]:
        """Start a process that opens the store once, and prints a digest of the secret for each line it is sent."""
        argv = [sys.executable, "-c", _READER, self.store, self.key, self.audit, name]
        running = subprocess.Popen(  # noqa: S603
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(), cwd=self.directory
        )
        try:
            assert running.stdout is not None
            running.stdout.readline()
            yield running
        finally:
            running.kill()
            running.communicate()

    def files_with(self, *values: str) -> list[str]:
        """Return the files that hold one of the values: raw, in base64, in hexadecimal or URL-encoded.

        The store must be closed in this process: closing its file drops SQLite's locks.
        """
        forms = [form for value in values for form in _forms(value)]
        found = []
        for place, _, names in os.walk(self.directory):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    content = file.read()
                if any(form in content for form in forms):
                    found.append(os.path.relpath(os.path.join(place, name), self.directory))
        return found


def seen_by(reader: subprocess.Popen[str], value: str) -> bool:
    """Ask the running reader: does it see this value now?"""
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write("\n")
    reader.stdin.flush()
    return reader.stdout.readline().strip() == hashlib.sha256(value.encode()).hexdigest()


def _forms(value: str) -> Iterator[bytes]:
    raw = value.encode()
    yield raw
    yield quote(value, safe="").encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for encode in (b64encode, urlsafe_b64encode):
        # In a longer text, base64 has three ways to spell the same bytes.
        for shift in range(3):
            yield encode(bytes(shift) + raw)[4 if shift else 0 : -4]


def _kind(url: str, usual: str, possible: tuple[str, ...]) -> str:
    scheme = url.partition(":")[0]
    return scheme if scheme in possible else usual


def _not_tried(kinds: dict[str, tuple[str, str]]) -> list[str]:
    return [
        f"your {what} {configured}: one of the kind {used.partition(':')[0]}: was tried in its place"
        for what, (configured, used) in kinds.items()
        if configured.partition(":")[0] != used.partition(":")[0]
    ]


def _make_key(scheme: str, directory: str) -> str:
    if scheme == "env":
        os.environ[VARIABLE] = generate_master_key()
        return f"env:{VARIABLE}"
    create(f"{directory}/scratch.key", generate_master_key())
    return f"{'passphrase' if scheme == 'passphrase' else 'file'}:{directory}/scratch.key"


def _environment() -> dict[str, str]:
    """Return an environment without settings that would reach the user's own store."""
    mine = ("STRONGROOM_", "SECRETS_MASTER_KEY")
    return {name: text for name, text in os.environ.items() if not name.startswith(mine) or name == VARIABLE}

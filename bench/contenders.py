"""Who takes part inside a running Python process, and what each must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol


class Missing(Exception):
    """A contender cannot take part here; the message says why."""


class Contender(Protocol):
    """A way to keep secrets that a running Python process uses."""

    label: str
    """The contender in the table."""
    keeps: str
    """What it does for the time: encrypts, records, sees changes."""

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        """Keep `values` in the empty directory `place`."""
        ...

    def reader(self, place: str) -> Callable[[str], str | None]:
        """Open what `fill` left and return what reads one secret."""
        ...

    def writer(self, place: str) -> Callable[[str, str], object]:
        """Open what `fill` left and return what changes one secret."""
        ...


_CLASSES = {
    "floor": "bench.floor:Floor",
    "strongroom": "bench.strongroom_library:Strongroom",
    "fernet-file": "bench.fernet_files:WholeFile",
    "fernet-file-durable": "bench.fernet_files:DurableWholeFile",
    "fernet-per-secret": "bench.fernet_files:TokenPerSecret",
    "fernet-cached": "bench.fernet_files:Cached",
    "keyring": "bench.keyring_file:EncryptedKeyring",
    "python-dotenv": "bench.dotenv_file:Dotenv",
}


def load(key: str) -> Contender:
    """Return the contender that is called `key` here. Raises `Missing`."""
    module, _, name = _CLASSES[key].partition(":")
    try:
        contender: Contender = getattr(import_module(module), name)()
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    return contender


def missing_package(error: ModuleNotFoundError) -> Missing:
    """Return what to raise for an import that failed."""
    return Missing(f"the Python package {error.name} is not installed")

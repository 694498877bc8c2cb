"""The file of a program that rotates: nobody else can put another program in its place, because it is given secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.errors import ConfigError
from strongroom.system.files import ANYBODY, UnsafeFileError, check_file, open_file
from strongroom.system.ways import check_way

_MOST_INTERPRETERS = 6
"""Linux follows five from a script, each of which may be a script."""


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a program to be run by its descriptor.

    Raises `ConfigError` when somebody else could put another program in its place: it is given secrets.
    """
    try:
        real = check_way(path)
        # O_PATH: who may run a program need not be able to read it.
        descriptor = os.open(real, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(path, error) from None
    try:
        check_file(real, os.fstat(descriptor))
        if not os.access(f"/proc/self/fd/{descriptor}", os.X_OK, effective_ids=True):
            raise ConfigError(f"the rotator {path} is not a program; `chmod +x` makes a script one")
        _check_interpreter(descriptor)
        yield descriptor
    except OSError as error:
        raise _refusal(path, error) from None
    finally:
        os.close(descriptor)


def _refusal(path: str, error: OSError) -> ConfigError:
    if isinstance(error, UnsafeFileError):
        return ConfigError(f"the rotator {path} is not run: {error.filename}: {error.strerror}")
    return ConfigError(f"the rotator {path} cannot be used: {error.strerror}")


def _check_interpreter(descriptor: int) -> None:
    """Raise `OSError` when another user could change the program that runs a script, or the one that runs that."""
    path = f"/proc/self/fd/{descriptor}"
    for _ in range(_MOST_INTERPRETERS):
        try:
            with open(open_file(path, owners=ANYBODY, follow=True), "rb") as file:
                first = file.read(256)
        except PermissionError:
            return  # no interpreter could read it either
        # As Linux reads it (fs/binfmt_script.c).
        words = re.split(rb"[ \t]+", re.split(rb"[\n\0]", first.removeprefix(b"#!"))[0].strip(b" \t"))
        if not first.startswith(b"#!") or not words[0]:
            return
        path = check_way(os.path.join("/", os.fsdecode(words[0])))

"""`command:PATH`: a program of your own rotates the secret.

It is run as `PATH STEP` (`create`, `set`, `test` or `retire`), with one JSON object on standard input: `create` gets
`{"current": …}`, `set` `{"pending": …, "current": …}`, `test` `{"pending": …}`, `retire` `{"previous": …, "current":
…}`, each a mapping of fields. `create` prints the new mapping as JSON. An exit code other than 0 is a failure. Values
never are arguments, which other users of the machine could see; what the program prints is not shown.

`command:PATH?timeout=60` gives it another time than 25 seconds, up to the 30 of a step.
"""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from strongroom.errors import ConfigError, RotationError
from strongroom.rotators.values import options

TIMEOUT = 25.0


class CommandRotator:
    """Runs a program for each step."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout

    def create(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the program printed."""
        answer = None
        with suppress(ValueError, RecursionError):
            answer = json.loads(self._run("create", {"current": current}))
        # Raised outside the handler: the parser's exception holds the document.
        if not isinstance(answer, dict):
            raise RotationError(f"{self._path} create printed no JSON object of fields")
        return answer

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Run `set`."""
        self._run("set", {"pending": pending, "current": current})

    def test(self, pending: Mapping[str, Any]) -> None:
        """Run `test`."""
        self._run("test", {"pending": pending})

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Run `retire`."""
        self._run("retire", {"previous": previous, "current": current})

    def _run(self, step: str, request: Mapping[str, Mapping[str, Any]]) -> bytes:
        import subprocess

        check_program(self._path)
        try:
            document = json.dumps(request).encode()
        except TypeError:
            raise RotationError("a value of bytes cannot be sent to a program as JSON") from None
        try:
            program = subprocess.Popen(  # noqa: S603
                [self._path, step], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise RotationError(f"{self._path} cannot be run: {error.strerror}") from None
        try:
            printed, _ = program.communicate(document, self._timeout)
        except subprocess.TimeoutExpired:
            raise RotationError(f"{self._path} {step} did not end within {self._timeout:g} s and was killed") from None
        finally:
            # With whatever it has started: nothing may change the source once we have gone on.
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        code = program.returncode
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise RotationError(f"{self._path} {step} {how}; run it by hand to see why")
        return printed


def check_program(path: str) -> None:
    """Raise `ConfigError` when somebody else could put another program in its place: it is given secrets."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise ConfigError(f"the rotator {path} cannot be used: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        raise ConfigError(f"the rotator {path} is not a program; `chmod +x` makes a script one")
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise ConfigError(f"the rotator {path} belongs to, or can be written by, other users; `chmod go-w {path}`")


def connect(rest: str, read: object = None) -> CommandRotator:
    """Return the rotator; raises `ConfigError` for a path that is not absolute and for what is not a safe program."""
    path, _, query = rest.partition("?")
    given = options(query, {"timeout"}, "command:")
    timeout = given.get("timeout", "")
    if timeout and not (timeout.isascii() and timeout.isdigit() and 0 < int(timeout) <= 3600):
        raise ConfigError("command: timeout is a whole number of seconds")
    if not os.path.isabs(path):
        raise ConfigError("command: takes an absolute path, such as command:/usr/local/bin/rotate-api-key")
    check_program(path)
    return CommandRotator(path, float(timeout or TIMEOUT))

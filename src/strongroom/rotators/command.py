"""`command:PATH`: a program of your own rotates the secret.

It is run as `PATH STEP` (`create`, `set`, `test` or `retire`), with one JSON object on standard input: `create` gets
`{"current": …}`, `set` `{"pending": …, "current": …}`, `test` `{"pending": …}`, `retire` `{"previous": …, "current":
…}`, each a mapping of fields. `create` prints the new mapping as JSON. An exit code other than 0 is a failure. Values
never are arguments, which other users of the machine could see; what the program prints is not shown.

PATH is absolute. The program, its directories and the interpreter that its first line names belong to root or to this
user, and nobody else can write to them. It is run by the descriptor that was checked, from `/`, and without the
variables that hold strongroom's own keys and settings. A script knows itself as /proc/self/fd/N, a link to its path.

`command:PATH?keeps_previous=no` says that the source refuses the previous value as soon as `set` has told it a new one.
`command:PATH?timeout=60` gives it another time than 25 seconds, up to an hour.

It never outlives its step: it and all that it has started are killed when it has ended, when its time is over, when the
rotation is interrupted, and when the rotating process is killed. A process that makes a group of its own (`setsid`)
withdraws from that.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from strongroom.errors import ConfigError, RotationError
from strongroom.rotators.values import keeps_previous, options
from strongroom.system.files import ANYBODY, UnsafeFileError, check_file, open_file
from strongroom.system.ways import check_way

TIMEOUT = 25.0
MARGIN = 5.0
GUARD = 'read -r _; kill -s KILL -- "-$1"'
"""Kills the program's process group when the pipe from us ends: when this process was killed, too."""
_MOST_INTERPRETERS = 6
"""Linux follows five from a script, each of which may be a script."""
_OURS = ("SECRETS_MASTER_KEY", "STRONGROOM_")
"""What the names of our variables begin with: they hold keys, or say where one is."""


class CommandRotator:
    """Runs a program for each step."""

    def __init__(self, path: str, timeout: float, *, keeps: bool = True) -> None:
        self.keeps_previous = keeps
        self._path = path
        self._timeout = timeout
        self.timeout = timeout + MARGIN
        """Seconds for a step as a rotation sees it: the program is killed before that is over."""
        self._running: set[int] = set()
        self._is_stopped = False
        self._withheld: frozenset[str] = frozenset()

    def withhold(self, variables: Collection[str]) -> None:
        """Keep these environment variables from the program too: keys of the store are in them."""
        self._withheld = frozenset(variables)

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

        try:
            document = json.dumps(request).encode()
        except TypeError:
            raise RotationError("a value of bytes cannot be sent to a program as JSON") from None
        with opened(self._path) as descriptor:
            try:
                program = subprocess.Popen(  # noqa: S603
                    [self._path, step], executable=f"/proc/self/fd/{descriptor}", pass_fds=[descriptor], cwd="/",
                    env=self._environment(), stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise RotationError(f"{self._path} cannot be run: {error.strerror}") from None
        self._running.add(program.pid)
        guard = self._guard(program.pid)
        try:
            if self._is_stopped:
                raise RotationError(f"{self._path} {step} was stopped")
            printed, _ = program.communicate(document, self._timeout)
        except subprocess.TimeoutExpired:
            raise RotationError(f"{self._path} {step} did not end within {self._timeout:g} s and was killed") from None
        finally:
            # With whatever it has started: nothing may change the source once we have gone on.
            _kill(program.pid)
            program.wait()
            self._running.discard(program.pid)
            guard.kill()
            guard.wait()
            guard.stdin.close()
        code = program.returncode
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise RotationError(f"{self._path} {step} {how}; run it by hand to see why")
        return printed

    def stop(self) -> None:
        """Kill the programs that are running, and all that they have started."""
        self._is_stopped = True
        for group in list(self._running):
            _kill(group)

    def _guard(self, group: int) -> Any:
        import subprocess

        return subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", GUARD, "sh", str(group)], stdin=-1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", env={}, start_new_session=True,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(_OURS) and name not in self._withheld
        }  # fmt: skip


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


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


def connect(rest: str, read: object = None) -> CommandRotator:
    """Return the rotator; raises `ConfigError` for a path that is not absolute and for what is not a safe program."""
    path, _, query = rest.partition("?")
    given = options(query, {"timeout", "keeps_previous"}, "command:")
    keeps = keeps_previous(given, "command:")
    timeout = given.get("timeout", "")
    if timeout and not (timeout.isascii() and timeout.isdigit() and 0 < int(timeout) <= 3600):
        raise ConfigError("command: timeout is a whole number of seconds")
    if not os.path.isabs(path) or not path.isprintable():
        raise ConfigError("command: takes an absolute path, such as command:/usr/local/bin/rotate-api-key")
    with opened(path):
        return CommandRotator(path, float(timeout or TIMEOUT), keeps=keeps)

"""`command:PATH`: a program of your own rotates the secret.

It is run as `PATH STEP` (`create`, `set`, `test`, `retire` or `discard`), with one JSON object on standard input: see
`strongroom.rotators.stepwise`. Secret, rotation and step are in the variables ROTATION_NAME, ROTATION_ID and
ROTATION_STEP too. `create` prints the new mapping as JSON. Values never are arguments, which other users of the machine
could see. What it writes to standard error is shown when it fails, without values: see `strongroom.rotators.showing`.

Exit codes, with the names of `sysexits.h` and Python's `os.EX_…`; any other than 0 may have changed something:

- 64 (USAGE): it does not know the step. `discard` is done then: `create` has made nothing.
- 67 (NOUSER): what it was asked about is gone. `retire` and `discard` are done then.
- 65 (DATAERR), 75 (TEMPFAIL), 77 (NOPERM), 78 (CONFIG): no, and nothing was changed.

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

import os
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators.program_file import opened
from strongroom.rotators.programs import Talk
from strongroom.rotators.showing import TAIL, shown
from strongroom.rotators.stepwise import GONE, MOST, UNKNOWN, Fields, Stepwise
from strongroom.rotators.values import keeps_previous, options, seconds

TIMEOUT = 25.0
MARGIN = 5.0
GUARD = 'read -r _; kill -s KILL -- "-$1"'
"""Kills the program's process group when the pipe from us ends: when this process was killed, too."""
_OURS = ("SECRETS_MASTER_KEY", "STRONGROOM_")
"""What the names of our variables begin with: they hold keys, or say where one is."""
_TELLING = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL")
"""What the names of variables contain whose values are not shown either."""
_REFUSALS = {
    64: "it does not know this step",
    65: "the value is refused",
    67: "what it was asked about is gone",
    75: "this cannot be done now; try again later",
    77: "this is not allowed",
    78: "it is not set up for this",
}
_HINTS = {126: "what it calls may not be run", 127: "what it calls is not on its PATH"}
_ANSWERS = {64: UNKNOWN, 67: GONE}


class CommandRotator(Stepwise):
    """Runs a program for each step."""

    _no_fields = "{} create printed no JSON object of fields"

    def __init__(self, path: str, timeout: float, *, keeps: bool = True) -> None:
        super().__init__(path, keeps=keeps)
        self._path = path
        self._timeout = timeout
        self.timeout = timeout + MARGIN
        """Seconds for a step as a rotation sees it: the program is killed before that is over."""
        self._running: set[int] = set()
        self._stops = 0
        self._withheld: frozenset[str] = frozenset()

    def withhold(self, variables: Collection[str]) -> None:
        """Keep these environment variables from the program too: keys of the store are in them."""
        self._withheld = frozenset(variables)

    def stop(self) -> None:
        """Kill the programs that are running, and all that they have started."""
        self._stops += 1
        for group in list(self._running):
            _kill(group)

    def _tell(self, step: str, data: Mapping[str, Fields], well: Collection[str] = ()) -> bytes:
        stops = self._stops
        _, document = self._document(step, data)
        program = self._start(step)
        talk = Talk(program, document, most=MOST if step == "create" else None, tail=TAIL)
        self._running.add(program.pid)
        guard = None
        try:
            guard = self._guard(program.pid)
            if self._stops == stops:
                talk.until_end(self._timeout)
        finally:
            # With whatever it has started: nothing may change the source once we have gone on.
            _kill(program.pid)
            program.wait()
            self._running.discard(program.pid)
            talk.rest()
            if guard is not None:
                guard.kill()
                guard.wait()
                guard.stdin.close()
        if self._stops != stops:
            raise RotationError(f"{self._path} {step} was stopped")
        if talk.is_late or talk.is_too_long or talk.code != 0:
            self._fail(step, data, talk, well)
        return talk.printed

    def _fail(self, step: str, data: Mapping[str, Fields], talk: Talk, well: Collection[str]) -> None:
        """Raise what a program's end means, unless it is one of `well`."""
        code = talk.code
        if _ANSWERS.get(code or 0) in well and not (talk.is_late or talk.is_too_long):
            return
        said = self._said(step, data, talk)
        if talk.is_late:
            raise RotationError(f"{self._path} {step} did not end within {self._timeout:g} s and was killed{said}")
        if talk.is_too_long:
            raise RotationError(f"{self._path} {step} printed more than {MOST} bytes and was killed{said}")
        if code is None:
            raise RotationError(f"the exit code of {self._path} {step} was lost: this process ignores SIGCHLD, or waits"
                                f" for every child itself{said}")  # fmt: skip
        if code < 0:
            raise RotationError(f"{self._path} {step} was killed by signal {-code}{said}")
        meaning = _REFUSALS.get(code) or _HINTS.get(code)
        text = f"{self._path} {step} ended with exit code {code}{f' ({meaning})' if meaning else ''}{said}"
        raise SourceRefusedError(text) if code in _REFUSALS else RotationError(text)

    def _said(self, step: str, data: Mapping[str, Fields], talk: Talk) -> str:
        """Return what it wrote to standard error, for an error's text."""
        held = [text for name, text in os.environ.items() if any(word in name.upper() for word in _TELLING)]
        held = [text for text in held if len(text) >= 8 and not text.startswith("/")]
        secret = [*data.values(), *held, talk.printed[: 4 * TAIL].decode("utf-8", "replace")]
        whole = talk.code is not None and talk.code >= 0
        text = shown(talk.errors, secret, whole=whole, hide_keys=step == "create")
        return f'; it wrote "{text}"' if text else "; it wrote nothing to standard error"

    def _start(self, step: str) -> Any:
        """Return the program that was started; raises `SourceRefusedError` when it was not."""
        import subprocess

        pipe = subprocess.PIPE
        try:
            with opened(self._path) as descriptor:
                return subprocess.Popen(  # noqa: S603
                    [self._path, step], executable=f"/proc/self/fd/{descriptor}", pass_fds=[descriptor], cwd="/",
                    env=self._environment(step), stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0,
                    start_new_session=True,
                )  # fmt: skip
        except ConfigError as error:
            why = str(error)
        except OSError as error:
            why = f"{self._path} cannot be run: {error.strerror}"
        raise SourceRefusedError(why)

    def _guard(self, group: int) -> Any:
        import subprocess

        try:
            return subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", GUARD, "sh", str(group)], stdin=-1, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, cwd="/", env={}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise RotationError(f"{self._path} was killed, because nothing could watch over it: {error.strerror}"
                                ) from None  # fmt: skip

    def _environment(self, step: str) -> dict[str, str]:
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(_OURS) and name not in self._withheld
        }  # fmt: skip
        return {**kept, "ROTATION_NAME": self._name, "ROTATION_ID": self._rotation, "ROTATION_STEP": step}


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def connect(rest: str, read: object = None) -> CommandRotator:
    """Return the rotator; raises `ConfigError` for a path that is not absolute and for what is not a safe program."""
    path, _, query = rest.partition("?")
    given = options(query, {"timeout", "keeps_previous"}, "command:")
    keeps = keeps_previous(given, "command:")
    timeout = seconds(given, TIMEOUT, "command:")
    if not os.path.isabs(path) or not path.isprintable():
        raise ConfigError("command: takes an absolute path, such as command:/usr/local/bin/rotate-api-key")
    with opened(path):
        return CommandRotator(path, timeout, keeps=keeps)

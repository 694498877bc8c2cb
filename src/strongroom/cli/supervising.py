"""`run --watch`: stays with the program, and tells it when its secrets change."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from strongroom.cli import process
from strongroom.cli.output import Output
from strongroom.delivery.watching import TICK, Watch
from strongroom.errors import InvalidInputError, StrongroomError

Variables = Mapping[str, str]

STOP_WITHIN = 10.0
"""Seconds that a program has to end before it is killed, when it is to be restarted."""
AT_ONCE = 5.0
"""A program that fails within so many seconds of a restart failed because of it, and is started again."""
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further start; then the failure is final."""
RETRY = 1.0
"""Seconds until the store is read again that could not be read."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# Those of a fault are for whoever has the fault, and those of job control must stop this process too, or the shell
# would wait for it.
_OWN = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGTSTP",
        "SIGTTIN", "SIGTTOU", "SIGCONT"}  # fmt: skip
WAITED = frozenset(signal.valid_signals()) - {getattr(signal, name) for name in _OWN}


def reaction(text: str | None) -> signal.Signals | None:
    """Return the signal of `signal:NAME`, None for `restart`; raises `InvalidInputError`."""
    kind, _, name = (text or "restart").partition(":")
    if kind == "restart" and not name:
        return None
    found = signal.Signals.__members__.get(f"SIG{name.removeprefix('SIG')}")
    if kind != "signal" or found is None:
        raise InvalidInputError("--on-change takes restart, or signal: and a name, such as signal:HUP")
    return found


def hold_signals() -> None:
    """Keep signals until they are asked for: before any thread begins, as threads take this over."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)


class Supervisor:
    """One program, its secrets, and the signals for it."""

    def __init__(
        self, command: Sequence[str], start: Callable[[Sequence[str], Variables], int],
        resolve: Callable[[], Variables], watch: Watch, on_change: signal.Signals | None, out: Output,
    ) -> None:  # fmt: skip
        """`start` begins the program and returns its pid; `resolve` reads its variables."""
        self._command, self._start, self._resolve = command, start, resolve
        self._watch, self._on_change, self._out = watch, on_change, out
        self._variables: Variables = {}
        self._pid = 0
        self._code = 0
        self._ended_by = 0
        """The signal that must end the program and this process."""
        self._restarting = False
        self._kill_at = self._start_at = self._look_at = self._fresh_until = 0.0
        self._failures = 0
        self._said = ""

    def run(self) -> int:
        """Return the program's exit code, 128 + n when signal n ended it. Raises what `start` and `resolve` raise."""
        self._watch.looking()
        self._variables = self._resolve()
        self._begin()
        try:
            while True:
                self._wait()
                if self._pid == 0 and not self._goes_on():
                    return self._code
                self._look()
        finally:
            self._leave_nobody()

    def _begin(self) -> None:
        self._pid = self._start(self._command, self._variables)
        self._start_at = self._kill_at = 0.0

    def _wait(self) -> None:
        """Take the next signal, for a moment; then see who has ended."""
        came = signal.sigtimedwait(WAITED, TICK)
        if came is not None and came.si_signo != signal.SIGCHLD:
            self._forward(came)
        while True:
            try:
                # Any child, since as the first process of a container this one inherits orphans.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._pid, code = 0, os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _forward(self, came: signal.struct_siginfo) -> None:
        if came.si_signo in ENDING:
            self._ended_by = came.si_signo
        # What the kernel sends because of a terminal it sends to the program too, and a SIGPIPE of our own is ours.
        if self._pid and came.si_code <= 0 and came.si_pid != os.getpid():
            os.kill(self._pid, came.si_signo)

    def _goes_on(self) -> bool:
        """The program has ended: True when it is started again, now or later."""
        if self._ended_by:
            self._code = 128 + self._ended_by if self._start_at else self._code
            return False
        if self._restarting:
            self._restarting = False
            self._failures = 0
            self._fresh_until = monotonic() + AT_ONCE
            self._begin()
        elif not self._start_at:
            if self._code == 0 or monotonic() > self._fresh_until or self._failures >= len(DELAYS):
                return False
            delay = DELAYS[self._failures]
            self._failures += 1
            self._start_at = monotonic() + delay
            self._out.warn(f"the program failed right after its restart ({self._code}); again in {delay:g} s")
        elif monotonic() >= self._start_at:
            self._fresh_until = monotonic() + AT_ONCE
            self._begin()
        return True

    def _look(self) -> None:
        """React when the secrets have changed; kill a program that does not end."""
        now = monotonic()
        if self._pid and self._kill_at and now >= self._kill_at:
            os.kill(self._pid, signal.SIGKILL)
            self._kill_at = 0.0
        if now < self._look_at or self._ended_by:
            return
        try:
            if self._watch.due():
                self._watch.looking()
                self._changed(self._resolve())
            self._said = ""
        except StrongroomError as error:
            # A secret that is gone, or a store that cannot be read for a while: the program has what it had.
            self._watch.again()
            self._look_at = now + RETRY
            if str(error) != self._said:
                self._said = str(error)
                self._out.warn(f"the program keeps running with the secrets that it has: {self._said}")

    def _changed(self, variables: Variables) -> None:
        if variables == self._variables:
            return
        names = sorted(name for name, _ in set(variables.items()) ^ set(self._variables.items()))
        self._variables = variables
        what = f"changed: {', '.join(dict.fromkeys(names))}"
        if not self._pid:
            self._start_at = monotonic()
        elif self._on_change is not None:
            self._out.say(f"strongroom: {what}; {self._on_change.name} is sent")
            os.kill(self._pid, self._on_change)
        elif not self._restarting:
            self._out.say(f"strongroom: {what}; the program is restarted")
            self._restarting = True
            self._kill_at = monotonic() + STOP_WITHIN
            os.kill(self._pid, signal.SIGTERM)

    def _leave_nobody(self) -> None:
        """Whatever went wrong here, the program does not stay behind."""
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            end = monotonic() + STOP_WITHIN
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                signal.sigtimedwait({signal.SIGCHLD}, TICK)
                if monotonic() > end:
                    os.kill(self._pid, signal.SIGKILL)
                    end += STOP_WITHIN


def start(command: Sequence[str], variables: Variables) -> int:
    """Begin the program with default signals and its own core limit, and return its pid. Raises `OSError`."""
    process.soften()
    try:
        # Python ignores these two, and a program inherits what is ignored; the mask is ours alone.
        return os.posix_spawnp(
            command[0], list(command), dict(variables), setsigmask=(), setsigdef=(signal.SIGPIPE, signal.SIGXFSZ)
        )
    finally:
        process.harden()

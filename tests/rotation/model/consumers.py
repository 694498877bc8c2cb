"""Programs that use the secret, each in a process of its own, and the login that each of them has in its hands."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.errors import StrongroomError
from strongroom.live.secret import LiveSecret
from strongroom.manager.manager import SecretsManager

from .processes import Machine, Process
from .source import Login, login_of

Open = Callable[[str, str], SecretsManager]
"""Opens the store as a service, for a source of events (`library`, `cli`, `run`)."""


class Program:
    """What all programs have: a process, and the login that it uses for as long as it runs."""

    def __init__(self, machine: Machine, open_store: Open, host: str, source: str = "library") -> None:
        self.machine = machine
        self.process: Process = machine.start(host)
        self.login: Login | None = None
        with machine.running(self.process):
            self.secrets = open_store(type(self).__name__, source)
            self.begin()

    def begin(self) -> None:
        """Read the secret."""
        self.read()

    def read(self) -> None:
        """Read the secret once more, and use that from now on; a secret that is gone leaves what it has."""
        data = self.secrets.get_data("A")
        if data is not None:
            self.login = login_of(data)

    def turn(self) -> None:
        """Do what it does by itself when time passes."""

    def end(self) -> None:
        """End, and use nothing any more."""
        self.login = None
        with self.machine.running(self.process):
            self.secrets.close()
        self.machine.end(self.process)

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.process.pid} with {self.login}"


class ReadsOnce(Program):
    """Keeps what it has read in a variable."""


class Handout(Program):
    """`strongroom get`: the command has ended, and somebody has the value."""

    def __init__(self, machine: Machine, open_store: Open, host: str) -> None:
        super().__init__(machine, open_store, host, "cli")
        machine.end(self.process)


class Child(Program):
    """A program that `strongroom run` became."""

    def __init__(self, machine: Machine, open_store: Open, host: str) -> None:
        super().__init__(machine, open_store, host, "run")


class Live(Program):
    """Has a live handle, and asks it for the value each time when it logs in."""

    def begin(self) -> None:
        try:
            self.handle = self.secrets.secret("A")
            self.read()
        except StrongroomError:
            self.login = None

    def read(self) -> None:
        value = self.handle.value
        self.login = login_of(value if isinstance(value, dict) else {"value": value})

    def turn(self) -> None:
        if self.login is not None and self.machine.is_alive(self.process):
            with self.machine.running(self.process):
                watcher = self.handle._live._watcher
                watcher._before = None
                watcher._look(self.machine._clock.now())


class Pool(Live):
    """Logs in with what its callback was given last; the callback may raise."""

    def begin(self) -> None:
        self.raises = False
        super().begin()
        if self.login is not None:
            self.handle.on_change(self.switch)

    def switch(self, handle: LiveSecret) -> None:
        if self.raises:
            raise ConnectionError("the pool cannot be drained now")
        self.read()


KINDS: dict[str, Callable[[Machine, Open, str], Program]] = {
    "a live handle": Live, "a live handle with a callback": Pool, "a script that reads once": ReadsOnce,
    "a child of run": Child, "a command that hands it out": Handout,
}  # fmt: skip

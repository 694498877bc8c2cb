"""The operator, who types commands; each is a process of its own and may be killed at any moment of its work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import strongroom
from strongroom.audit_sinks.memory import MemorySink
from strongroom.engine import versions
from strongroom.errors import StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.model import SECRET
from strongroom.records.data import Data, Value, decode_data
from strongroom.rotation.rotation import Rotation
from strongroom.rotation.status import RotationStatus
from strongroom.stores.memory import MemoryStore

from .fate import Died, Fate
from .processes import HERE, Clock, Machine
from .source import Login, Rotator, Server, login_of

GRACE = 100.0


class Store(MemoryStore):
    """A store in memory that outlives the processes that use it."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with super().transaction() as draft:
            yield draft
            self._fate.moment("store")
        if self._fate.how == "dies":
            self._fate.moment("store")

    def take_over(self, other: MemoryStore) -> None:
        self._now = other._now

    def close(self) -> None:
        pass


class Log(MemorySink):
    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def append(self, line: bytes) -> None:
        self._fate.moment("log")
        super().append(line)


class Outcome(NamedTuple):
    """`said` is what the command answered; `error` what it raised; `died` that it could not say anything."""

    said: str
    error: StrongroomError | None
    died: bool
    failed_elsewhere: bool
    """The store or the log failed, so that what the source said may be kept nowhere."""


class Operator:
    """Works on one secret, A, whose source is one of `servers` by its URL."""

    def __init__(self, machine: Machine, clock: Clock, data: Value | Data, servers: dict[str, Server]) -> None:
        self.machine, self.clock, self.servers, self.fate = machine, clock, servers, Fate()
        self.store, self.log = Store(self.fate), Log(self.fate)
        self.said: list[str] = []
        with machine.running(machine.start(HERE)):
            secrets = strongroom.init("memory:", "env:SECRETS_MASTER_KEY", self.log)
            secrets.set_secret("A", data)
            self.store.take_over(secrets._access.engine.store)
        self.observer = self.open("observer", "library")

    def open(self, service: str, source: str) -> SecretsManager:
        """Open the store as the process that runs now."""
        secrets = strongroom.open(
            self.store, "env:SECRETS_MASTER_KEY", self.log, service=service, source=source, actor="alice"
        )
        access = secrets._access
        access._read_here = {}  # what this process has read, and not the one that the tests run in
        secrets._rotation = Rotation(access, self._connect, 10, clock=self.clock, timeout=5)
        return secrets

    def _connect(self, url: str, read: object) -> Rotator:
        return Rotator(self.servers[url], self.fate)

    def do(self, command: Callable[[SecretsManager], object], *, host: str = HERE) -> Outcome:
        """Run a command as a process of its own, under the fate that was set, and keep what it said."""
        process, error, said, died = self.machine.start(host), None, "", False
        try:
            with self.machine.running(process):
                said = str(command(self.open("operator", "cli")))
        except StrongroomError as raised:
            error, said = raised, str(raised)
        except Died:
            died = True
        died, struck = died or self.fate.is_dead, self.fate.has_struck
        self.machine.end(process)
        self.fate.reset()
        for server in self.servers.values():
            server.faults.clear()
        self.said.append(said)
        return Outcome("" if died else said, None if died else error, died, struck)

    def type(self, line: str, value: Value | Data | None = None, *, host: str = HERE, wait: float = 0) -> Outcome:
        """Run a command line as messages name them (`rotate resume A`); `value` is what is piped in."""
        words = [word for word in line.split() if word not in ("A", "--force")]
        force = "--force" in line

        def command(secrets: SecretsManager) -> object:
            rotation = secrets.rotation
            match words:
                case ["rotate"] if rotation.has_rotator("A"):
                    return rotation.rotate("A", new_value=value, force=force, wait=wait).version
                case ["rotate"] | ["rotate", "--stdin"]:
                    return secrets.rotate_secret("A", value).version
                case ["rotate", "resume"]:
                    return rotation.resume("A", wait=wait).version
                case ["rotate", "abort"]:
                    return rotation.abort("A", force=force)
                case ["rotate", "retire"]:
                    return rotation.retire("A", force=force)
                case ["rotate", "check"]:
                    return rotation.check("A")
                case ["rotate", "--attach", url]:
                    return rotation.attach("A", url, grace=GRACE, force=force)
                case ["rotate", "--detach"]:
                    return rotation.detach("A", force=force)
                case ["rollback", version]:
                    return secrets.rollback("A", int(version)).version
                case ["set"]:
                    return secrets.set_secret("A", value).version  # type: ignore[arg-type]
                case ["rm"]:
                    return secrets.delete_secret("A")
                case ["undelete"]:
                    return secrets.undelete_secret("A")
                case ["destroy", *numbers]:
                    return secrets.destroy_secret("A", [int(number) for number in numbers] or None)
            raise AssertionError(f"a message names a command that there is not: {line}")

        return self.do(command, host=host)

    def status(self) -> RotationStatus:
        return self.observer.rotation.status("A")[0]

    def current(self) -> Login | None:
        """Return the current login, None when the secret is deleted."""
        return self.versions().get(self.status().version)

    def versions(self) -> dict[int, Login]:
        """Return the login of each version that can be read; this is no read on record."""
        with self.observer._access.engine.view() as (view, unlocked):
            records, stored = unlocked.records, view.get(SECRET + "A")
            info = None if stored is None else records.open_info("A", stored)
            numbers = [version.version for version in info.versions] if info else []
            found = {number: versions.read(view, records, "A", number) for number in numbers}
        return {number: login_of(decode_data(data)) for number, data in found.items() if data is not None}


def commands_in(text: str) -> list[str]:
    """Return the commands that a message names."""
    return re.findall(r"`strongroom ([^`]+)`", text)

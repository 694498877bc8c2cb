"""Commands of an operator in any order, each in a process of its own that SIGKILL may end at any system call.

The source is a file that lists what it accepts. After each command the current value is accepted, or the status names a
command; typing what it names ends with one that is. 64 commands here, 16,000 in the campaign.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from rotation.source import Source
from strongroom.errors import StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.rotation.rotation import Rotation
from strongroom.testing.clock import VirtualClock

from . import KINDS, kill, size

SCRIPTS = size(1, 100)
"""For each kind of store and source."""
COMMANDS = size(16, 40)
GRACE = 100.0
Work = Callable[[SecretsManager], object]


class Bench:
    """A store and a source on disk, and the commands that an operator types."""

    def __init__(self, store: str, source: Source, generator: random.Random) -> None:
        self.store, self.source, self.generator = store, source, generator
        self.now = VirtualClock().now()
        self.kills: Counter[str] = Counter()

    def open(self) -> SecretsManager:
        secrets = strongroom.open(self.store, "env:SECRETS_MASTER_KEY", "memory:")
        clock = VirtualClock(self.now)
        secrets._rotation = Rotation(secrets._access, lambda url, read: self.source, 10, clock=clock)
        return secrets

    def type(self, line: str) -> StrongroomError | None:
        """Do what a command line does, and return what it raises."""
        words, force = [word for word in line.split() if word not in ("A", "--force")], "--force" in line
        with self.open() as secrets:
            commands: dict[str, Work] = {
                "rotate": lambda secrets: secrets.rotation.rotate("A", wait=0, force=force),
                "rotate resume": lambda secrets: secrets.rotation.resume("A", wait=0),
                "rotate abort": lambda secrets: secrets.rotation.abort("A", force=force),
                "rotate retire": lambda secrets: secrets.rotation.retire("A", force=force),
                "rotate check": lambda secrets: secrets.rotation.check("A"),
                "set": lambda secrets: secrets.set_secret("A", os.urandom(8).hex()),
                "rollback": lambda secrets: secrets.rollback("A", int(words[1])),
            }
            try:
                commands["rollback" if words[0] == "rollback" else " ".join(words)](secrets)
            except StrongroomError as error:
                return error
        return None

    def killed(self, line: str) -> None:
        """The same in another process, which is killed somewhere, unless it ends before that."""
        number = round(2 ** self.generator.uniform(3, 12))
        death = kill.at_syscall(number, lambda pipe: self.type(line) and None)
        self.kills[line if death.killed else "none"] += 1

    def check(self) -> None:
        with self.open() as secrets:
            status = secrets.rotation.status("A")[0]
            if secrets.get_secret("A") not in self.source.accepted():
                assert commands_in(status.advice), f"{status.step}: nothing says that the current value is refused"

    def mend(self) -> None:
        """Type what the status says, one command after the other, until it says nothing."""
        tried: list[str] = []
        while advice := self.advice():
            line = next(line for line in commands_in(advice) if line not in tried)
            tried = [*tried, line] if self.type(line) else [line]
        with self.open() as secrets:
            assert secrets.get_secret("A") in self.source.accepted()
            assert secrets.verify().ok

    def advice(self) -> str | None:
        with self.open() as secrets:
            return secrets.rotation.status("A")[0].advice


def commands_in(text: str | None) -> list[str]:
    return re.findall("`strongroom ([^`]+)`", text or "")


@pytest.mark.skipif(not kill.can_trace(), reason="this machine lets no process trace its child")
@pytest.mark.parametrize("script", range(SCRIPTS))
@pytest.mark.parametrize("strategy", ["single", "alternating"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_status_says_mends_whatever_a_kill_has_left(
    kind: str, strategy: str, script: int, place: Path, master_key: str
) -> None:
    generator = random.Random(f"{kind} {strategy} {script}")
    source = Source(place / "source", strategy)
    source.accept("first")
    with strongroom.init(f"{kind}:{place}/store", "env:SECRETS_MASTER_KEY", "memory:") as secrets:
        secrets.set_secret("A", "first")
    bench = Bench(f"{kind}:{place}/store", source, generator)
    with bench.open() as secrets:
        secrets.rotation.attach("A", "source:", grace=GRACE)
    lines = ["rotate A", "rotate A", "rotate resume A", "rotate abort A", "rotate retire A --force", "rotate check A",
             "rollback A", "rotate abort A --force", "rotate A --force", "set A"]  # fmt: skip
    for _ in range(COMMANDS):
        line = generator.choice(lines)
        if line == "rollback A":
            with bench.open() as secrets:
                line = f"rollback A {max(1, secrets.rotation.status('A')[0].version - generator.randint(1, 2))}"
        bench.killed(line)
        bench.check()
        if generator.random() < 0.2:
            bench.mend()
        bench.now += generator.choice([0, 0, GRACE + 1])
    bench.mend()
    print(dict(bench.kills))

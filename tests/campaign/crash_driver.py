"""Kills writers of one store again and again, and compares the store with what they had been told.

A writer says on a pipe what it is about to do, does it, and says that it is done. So the store must hold everything
up to the last `done`, and of a later operation all or nothing.
"""

from __future__ import annotations

import json
import os
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable

import strongroom
from strongroom.errors import WrongKeyError
from strongroom.manager.manager import SecretsManager

from . import kill
from .crash_model import KEEP, KEYS, Model, invent, perform, read

LIFE = 50
"""Kills after which a new store is begun, because verifying all of a long audit log costs time."""
LONGEST = 0.030
SYSCALL_STOPS = 2_500


class Life:
    """One store, from its making on."""

    def __init__(self, kind: str, place: str, seed: int) -> None:
        self.store = f"{kind}:{place}/store-{seed}"
        self.audit = f"file:{place}/audit-{seed}.log"
        self.chance = random.Random(seed)
        self.model = Model()
        self.notes = 0
        strongroom.init(self.store, f"env:{KEYS[0]}", self.audit).close()

    def open(self, key: int) -> SecretsManager:
        return strongroom.open(self.store, f"env:{KEYS[key]}", self.audit, max_versions=KEEP)

    def write(self, pipe: int) -> None:
        """Work until killed; runs in the child."""
        model = self.model
        secrets = self.open(model.key)
        while True:
            step = invent(model, self.chance)
            os.write(pipe, json.dumps(step).encode() + b"\n")
            perform(secrets, step)
            os.write(pipe, b"done\n")
            model = model.after(step)

    def check(self, said: bytes) -> str:
        """Compare the store with what the writer said; return what it was at when it died."""
        model, pending = self.model, None
        for line in said.splitlines():
            if line == b"done":
                assert pending is not None
                model, pending = model.after(pending), None
            else:
                pending = json.loads(line)
        possible = [model] if pending is None else [model, model.after(pending)]
        found = self.find([candidate.key for candidate in possible])
        assert found in possible, f"{self.store} while at {pending}:\nfound {found}\nnot one of {possible}"
        self.model = found
        return pending[0] if pending else "between"

    def find(self, keys: list[int]) -> Model:
        """Return what the store holds; exactly one of the master keys opens it."""
        for key in (0, 1):
            try:
                secrets = self.open(key)
            except WrongKeyError:
                continue
            with secrets:
                assert key in keys, f"key {key} opens the store, not one of {keys}"
                model = read(secrets, key)
                assert secrets.verify().problems == ()
                report = secrets.verify_audit()
                assert report.problems == (), report.problems
                self.notes += sum("torn" in note.message for note in report.notes)
                return model
        raise AssertionError(f"no master key opens {self.store}")


def way_to_kill(how: str, chance: random.Random) -> Callable[[Callable[[int], None]], kill.Death]:
    if how == "syscall":
        number = chance.randrange(1, SYSCALL_STOPS)
        return lambda work: kill.at_syscall(number, work)
    seconds = chance.uniform(0, LONGEST)
    working = chance.random() < 0.8  # the others die while they open the store
    return lambda work: kill.after(seconds, work, first_word=working)


def main(kind: str, how: str, place: str, kills: int, seed: int) -> None:
    warnings.simplefilter("error")  # no warning of a rollback, either
    during: Counter[str] = Counter()
    torn = 0
    for number in range(kills):
        if number % LIFE == 0:
            life = Life(kind, place, seed * 1_000_000 + number)
        death = way_to_kill(how, life.chance)(life.write)
        assert death.killed
        during[life.check(death.said)] += 1
        torn = max(torn, life.notes)
    print(json.dumps({"kills": kills, "during": during, "torn": torn}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))

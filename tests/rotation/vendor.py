"""A vendor on disk, as those that make keys on their servers: `create` makes a key, once for each rotation's id."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path

from strongroom import SourceRefusedError


class Vendor:
    """A rotator and its source, which any process may ask. `faults` maps steps to what is raised, once."""

    grace = 3600.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rotation = ""
        self.told: list[tuple[str, str]] = []
        self.faults: dict[str, Exception] = {}
        if not path.exists():
            self._write({"made": {}, "accepted": ["first"], "asked": []})

    def read(self):
        return json.loads(self.path.read_text())

    def _write(self, state):
        draft = self.path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(state))
        os.replace(draft, self.path)

    @contextmanager
    def _changing(self):
        with open(f"{self.path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self._write(state)

    def _strike(self, step):
        if step in self.faults:
            raise self.faults.pop(step)

    @property
    def keys(self):
        """The keys that the vendor has made and not removed."""
        return list(self.read()["made"].values())

    @property
    def asked(self):
        """The ids that `create` was asked with."""
        return self.read()["asked"]

    def about(self, name, rotation):
        self.told.append((name, rotation))
        self.rotation = rotation

    def check(self, current):
        if current["value"] not in self.read()["accepted"]:
            raise SourceRefusedError("the vendor refuses the current key")

    def create(self, current):
        with self._changing() as state:
            state["asked"].append(self.rotation)
            key = state["made"].setdefault(self.rotation, os.urandom(8).hex())
        self._strike("create")
        return {"value": key}

    def discard(self, created, current):
        self._strike("discard")
        with self._changing() as state:
            state["made"] = {
                rotation_id: key for rotation_id, key in state["made"].items() if key != created.get("value")
            }

    def set(self, pending, current):
        self._strike("set")
        with self._changing() as state:
            state["accepted"] = [current["value"], pending["value"]]

    def test(self, pending):
        self._strike("test")
        if pending["value"] not in self.read()["accepted"]:
            raise SourceRefusedError("the vendor refuses the key")

    def retire(self, previous, current):
        self._strike("retire")
        with self._changing() as state:
            state["accepted"] = [key for key in state["accepted"] if key != previous["value"]]
            state["made"] = {made: key for made, key in state["made"].items() if key != previous["value"]}

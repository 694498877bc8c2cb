"""A source of secrets on disk: it accepts the values that a file lists, in any process and after any crash."""

from __future__ import annotations

import json
import os
from pathlib import Path

from strongroom import SourceRefusedError


class Source:
    """A rotator and its source. `strategy` is `single` (one value at a time) or `alternating` (two)."""

    grace = 3600.0

    def __init__(self, path: Path, strategy: str = "single") -> None:
        self.path = path
        self.strategy = strategy
        self.calls: list[str] = []

    @property
    def keeps_previous(self) -> bool:
        return self.strategy == "alternating"

    def accepted(self) -> list[str]:
        return json.loads(self.path.read_text())

    def accept(self, *values: str) -> None:
        draft = self.path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(values))
        os.replace(draft, self.path)

    def create(self, current):
        self.calls.append("create")
        return {"value": os.urandom(8).hex()}

    def check(self, current):
        if current["value"] not in self.accepted():
            raise SourceRefusedError("the source refuses the current value")

    def set(self, pending, current):
        self.calls.append("set")
        kept = [current["value"]] if self.strategy == "alternating" else []
        self.accept(*kept, pending["value"])

    def test(self, pending):
        self.calls.append("test")
        if pending["value"] not in self.accepted():
            raise ValueError(pending["value"])

    def retire(self, previous, current):
        self.calls.append("retire")
        self.accept(*(value for value in self.accepted() if value != previous["value"]))

"""One of many processes on one store: mixed operations, each answer checked at once.

Three kinds of names, so that each answer can be judged whatever the others do meanwhile:
`count/…` hold numbers that grow by compare-and-set; `known/…` are written with `cas`, so that a value can hold its own
version; `free/…` are written without, deleted and undeleted.
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from collections import Counter, defaultdict
from typing import Any

import strongroom
from strongroom.errors import ConflictError, SecretNotFoundError

COUNT = [f"count/{n}" for n in range(3)]
KNOWN = [f"known/{n}" for n in range(8)]
FREE = [f"free/{n}" for n in range(8)]
WEIGHTS = {
    "get": 30, "get_counter": 5, "get_free": 8, "get_old": 5, "set_known": 8, "rotate": 6, "set_free": 8,
    "increment": 8, "delete": 5, "undelete": 5, "list": 5, "history": 7,
}  # fmt: skip


def described(name: str, version: object) -> str:
    """Return a value that says whose it is and which, and shows when a byte of it is not its own."""
    body = f"{name}:{version}:" + "x" * (zlib.crc32(f"{name}{version}".encode()) % 300)
    return f"{body}:{zlib.crc32(body.encode()):08x}"


def read_back(value: str, name: str) -> str:
    """Return the version that a value holds; raise when it is not a whole value of `name`."""
    owner, version, _, _ = value.split(":")
    assert (owner, value) == (name, described(name, version)), f"{name} returned a torn or a wrong value: {value!r}"
    return version


class Worker:
    """Remembers what it has seen and written, so that nothing may go backwards."""

    def __init__(self, store: str, audit: str, number: int) -> None:
        self.secrets = strongroom.open(store, audit=f"file:{audit}", audit_max_bytes=1 << 20, actor=f"worker-{number}")
        self.random = random.Random(number)
        self.seen: defaultdict[str, int] = defaultdict(int)
        self.increments: Counter[str] = Counter()
        self.written: defaultdict[str, list[int]] = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.conflicts = 0
        self.number = number

    def run(self, operations: int) -> None:
        steps = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=operations)
        for step in steps:
            getattr(self, step)()

    def call(self, method: str, *arguments: Any, **more: Any) -> Any:
        """Call a method of the manager, and count the call: the audit log must have it."""
        self.calls[method] += 1
        return getattr(self.secrets, method)(*arguments, **more)

    def saw(self, name: str, version: int) -> int:
        assert version >= self.seen[name], f"{name} went back from {self.seen[name]} to {version}"
        self.seen[name] = version
        return version

    def wrote(self, name: str, version: int) -> None:
        assert version > self.seen[name], f"{name} was written as {version}, {self.seen[name]} was there before"
        self.seen[name] = version
        self.written[name].append(version)

    def get(self) -> None:
        name = self.random.choice(KNOWN)
        self.saw(name, int(read_back(self.call("get_secret", name), name)))

    def get_counter(self) -> None:
        name = self.random.choice(COUNT)
        self.saw(name + "=", int(self.call("get_secret", name)))

    def get_free(self) -> None:
        name = self.random.choice(FREE)
        value = self.call("get_secret", name)
        assert value is None or read_back(value, name)

    def get_old(self) -> None:
        name = self.random.choice(KNOWN)
        version = max(1, self.seen[name] - self.random.randrange(4))
        value = self.call("get_secret", name, version=version)
        assert value is None or read_back(value, name) == str(version)

    def set_known(self, write: str = "set_secret") -> None:
        name = self.random.choice(KNOWN)
        before = self.saw(name, int(read_back(self.call("get_secret", name), name)))
        try:
            info = self.call(write, name, described(name, before + 1), cas=before)
        except ConflictError:
            self.conflicts += 1
        else:
            assert info.version == before + 1
            self.wrote(name, info.version)

    def rotate(self) -> None:
        self.set_known("rotate_secret")

    def set_free(self) -> None:
        name = self.random.choice(FREE)
        unique = f"{self.number}-{len(self.written[name])}"
        self.wrote(name, self.call("set_secret", name, described(name, unique)).version)

    def increment(self) -> None:
        name = self.random.choice(COUNT)
        while True:
            # The version belongs to the value only if nobody writes in between, and then `cas` fails.
            version = self.call("history", name)[-1].version
            value = int(self.call("get_secret", name))
            try:
                self.wrote(name, self.call("set_secret", name, str(value + 1), cas=version).version)
            except ConflictError:
                self.conflicts += 1
                continue
            self.increments[name] += 1
            return

    def delete(self) -> None:
        self.call("delete_secret", self.random.choice(FREE))

    def undelete(self) -> None:
        self.call("undelete_secret", self.random.choice(FREE))

    def list(self) -> None:
        names = self.call("list_secrets")
        assert names == sorted(names)
        assert set(COUNT + KNOWN) <= set(names) <= set(COUNT + KNOWN + FREE)

    def history(self) -> None:
        name = self.random.choice(FREE + KNOWN)
        try:
            versions = [info.version for info in self.call("history", name)]
        except SecretNotFoundError:
            return
        if versions:
            self.saw(name, versions[-1])
            assert versions == list(range(versions[0], versions[-1] + 1))


def main(store: str, audit: str, number: str, operations: str) -> None:
    worker = Worker(store, audit, int(number))
    worker.run(int(operations))
    worker.secrets.close()
    print(json.dumps({name: getattr(worker, name) for name in ("increments", "written", "conflicts", "calls")}))


if __name__ == "__main__":
    main(*sys.argv[1:])

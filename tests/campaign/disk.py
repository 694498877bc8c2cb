"""Files and directories that know what is durable, and say what a power loss may leave of them.

It promises what POSIX does and no more. The content of a file is durable after its fsync, a name in a directory after
the fsync of the directory. Before that, the names of each directory survive in the order of their changes up to any one
of them; of a file's writes any may survive, in pages and torn at sectors, and what a file grew by can be zeros.
Ext4 keeps more than this; what holds here holds there.
"""

from __future__ import annotations

import random
from itertools import pairwise

PAGE, SECTOR = 4096, 512
STATES = ("all", "least", "names", "data", "mix")
"""What a crash leaves: everything, or nothing that was not synced, names only, data only, or some of each."""


class File:
    """The content of a file as it is, as it was at the last fsync, and the changes between."""

    def __init__(self, content: bytes = b"", mode: int = 0o600) -> None:
        self.content = bytearray(content)
        self.synced = content
        self.changes: list[tuple[int, bytes | None]] = []
        """Offset and data of a write; a size and None of a truncation."""
        self.mode = mode
        self.mapped = False
        self.real: bytes | None = None
        """What it held at the end, where the writes cannot be seen because it was mapped."""

    def write(self, offset: int, data: bytes) -> None:
        put(self.content, offset, data)
        self.changes.append((offset, data))

    def truncate(self, size: int) -> None:
        resize(self.content, size)
        self.changes.append((size, None))

    def sync(self) -> None:
        self.synced, self.changes = bytes(self.content), []

    def after_crash(self, chance: random.Random, how: str) -> bytes:
        way = {"all": "all", "data": "all", "least": "none", "names": "none"}.get(how)
        way = way or chance.choice(["all", "none", "part", "pages", "zeros"])
        content = bytearray(self.synced)
        changes = self.changes[: chance.randrange(len(self.changes) + 1)] if way == "part" else self.changes
        for number, (offset, data) in enumerate(changes):
            if data is None:
                if way in ("all", "part"):
                    resize(content, offset)
            elif way in ("all", "part"):
                torn = way == "part" and number == len(changes) - 1
                put(content, offset, data[: chance.randrange(0, len(data) + SECTOR, SECTOR)] if torn else data)
            elif way == "pages":
                for piece_at, piece in pages(offset, data):
                    if chance.random() < 0.5:
                        put(content, piece_at, piece)
            elif way == "zeros":
                resize(content, max(len(content), offset + len(data)))
        if self.mapped and how != "least":
            self._mix_mapped(content, chance)
        return bytes(content)

    def _mix_mapped(self, content: bytearray, chance: random.Random) -> None:
        """Give some pages what memory may have held."""
        for at in range(0, len(content), PAGE):
            size = min(PAGE, len(content) - at)
            written = self.real[at : at + size] if self.real else chance.randbytes(size)
            if chance.random() < 0.5 and len(written) == size:
                content[at : at + size] = written


class Link:
    """A symbolic link."""

    def __init__(self, target: str) -> None:
        self.target = target


class Directory:
    """The names in a directory as they are, as they were at its last fsync, and the changes between."""

    mapped = False

    def __init__(self) -> None:
        self.mode = 0o700
        self.names: dict[str, Node] = {}
        self.synced: dict[str, Node] = {}
        self.changes: list[dict[str, Node | None]] = []

    def put(self, names: dict[str, Node | None]) -> None:
        """Change several names at once; None removes one."""
        apply(self.names, names)
        self.changes.append(names)

    def sync(self) -> None:
        self.synced, self.changes = dict(self.names), []

    def after_crash(self, chance: random.Random, how: str) -> dict[str, Node]:
        number = {"all": len(self.changes), "names": len(self.changes), "least": 0, "data": 0}.get(how)
        names = dict(self.synced)
        for change in self.changes[: chance.randrange(len(self.changes) + 1) if number is None else number]:
            apply(names, change)
        return names


def put(content: bytearray, offset: int, data: bytes) -> None:
    resize(content, max(len(content), offset + len(data)))
    content[offset : offset + len(data)] = data


def resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))


def pages(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """Cut a write where pages of the file begin."""
    cuts = [0, *range(PAGE - offset % PAGE, len(data), PAGE), len(data)]
    return [(offset + begin, data[begin:end]) for begin, end in pairwise(cuts)]


def apply(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


Node = File | Link | Directory

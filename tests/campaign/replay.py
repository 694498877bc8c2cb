"""Plays the calls of a recorded process on a model of a disk, and writes what a crash leaves to a real one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from .disk import Directory, File, Link
from .trace import Call

IGNORED = {"close", "dup", "dup2", "dup3", "fcntl", "lseek", "mmap", "chmod", "fchmod", "fchmodat", "msync"}
"""Calls that leave content and names as they are, whatever they do else."""
Place = tuple[Directory, str]


class Opened:
    """An open file, or directory."""

    def __init__(self, node: File | Directory, append: bool) -> None:
        self.node = node
        self.append = append
        self.offset = 0


class Disk:
    """Everything below the directory `root`, which was empty and durable."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.top = Directory()
        self._opened: dict[int, Opened] = {}

    def play(self, call: Call) -> bool:
        """Do what a call did; return whether a crash after it may leave something else than a crash before it."""
        name = call.name.removesuffix("2") if call.name.startswith("rename") else call.name
        if name in ("write", "writev", "pwrite64", "pwritev", "pwritev2"):
            return self._write(call)
        if name in ("fsync", "fdatasync"):
            return self._with_file(call, lambda opened: opened.node.sync())
        if name in ("ftruncate", "fallocate"):
            return self._with_file(call, lambda opened: self._resize(opened.node, call))
        if name in ("open", "openat", "creat"):
            return self._open(call, 1 if name == "openat" else 0)
        at = 1 if name.endswith("at") else 0
        if name in ("mkdir", "mkdirat"):
            return self._put(call, at, Directory())
        if name in ("symlink", "symlinkat"):
            return self._put(call, at + 1, Link(os.fsdecode(call.text(0))))
        if name in ("unlink", "unlinkat", "rmdir"):
            return self._put(call, at, None)
        if name in ("link", "linkat", "rename", "renameat"):
            return self._move(call, at, keep=name.startswith("link"))
        self._other(call)
        return False

    def check(self) -> None:
        """Fail unless the real files are what the calls made: else a call was overlooked. Look into mapped ones."""
        for path, node in self._walk(self.top, Path(self.root)):
            if isinstance(node, Directory):
                assert set(node.names) == set(os.listdir(path)), path
            elif isinstance(node, Link):
                assert os.readlink(path) == node.target
            elif node.mapped:
                node.real = path.read_bytes()
            else:
                assert path.read_bytes() == node.content, f"{path}: a write was overlooked"

    def crash(self, target: Path, chance: random.Random, how: str) -> None:
        """Write to the directory `target` what a crash now may leave."""
        made: dict[int, Path] = {}

        def build(directory: Directory, place: Path) -> None:
            for name, node in directory.after_crash(chance, how).items():
                path = place / name
                if isinstance(node, Directory):
                    path.mkdir()
                    build(node, path)
                    path.chmod(node.mode)
                elif isinstance(node, Link):
                    path.symlink_to(node.target)
                elif id(node) in made:
                    path.hardlink_to(made[id(node)])
                else:
                    made[id(node)] = path
                    path.write_bytes(node.after_crash(chance, how))
                    path.chmod(node.mode)

        build(self.top, target)

    def _walk(self, directory: Directory, path: Path) -> Iterator[tuple[Path, Directory | File | Link]]:
        yield path, directory
        for name, node in directory.names.items():
            if isinstance(node, Directory):
                yield from self._walk(node, path / name)
            else:
                yield path / name, node

    def _find(self, path: str, *, follow: bool) -> Place | None:
        """Return the directory of the last part of a path, and that part; None for what lies elsewhere."""
        path = os.path.normpath(path)
        if path != self.root and not path.startswith(self.root + "/"):
            return None
        directory, at = self.top, self.root
        parts = path[len(self.root) + 1 :].split("/")
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            node = directory.names.get(part)
            if isinstance(node, Link) and (follow or not last):
                return self._find(os.path.join(at, node.target, *parts[number + 1 :]), follow=follow)
            if last:
                return directory, part
            assert isinstance(node, Directory), path
            directory, at = node, f"{at}/{part}"
        raise AssertionError(path)

    def _place(self, call: Call, number: int, *, follow: bool = False) -> Place | None:
        """Return where the path leads that is an argument; the one before it may be the directory it begins at."""
        base = call.path(number - 1) if number and "<" in call.arguments[number - 1] else self.root
        return self._find(os.path.join(base, os.fsdecode(call.text(number))), follow=follow)

    def _with_file(self, call: Call, work: object) -> bool:
        opened = self._opened.get(call.number(0))
        if opened is not None:
            work(opened)
        return opened is not None

    def _open(self, call: Call, number: int) -> bool:
        flags = "O_CREAT|O_TRUNC" if call.name == "creat" else call.arguments[number + 1]
        self._opened.pop(call.result, None)
        place = self._place(call, number, follow="O_NOFOLLOW" not in flags)
        if place is None:
            return False
        directory, name = place
        node = directory.names.get(name) if name else self.top
        made = node is None
        if node is None:
            assert "O_CREAT" in flags, call
            node = File(mode=int(call.arguments[-1], 8) & 0o700)
            directory.put({name: node})
        self._opened[call.result] = Opened(node, "O_APPEND" in flags)
        if "O_TRUNC" in flags and node.content:
            node.truncate(0)
            return True
        return made

    def _write(self, call: Call) -> bool:
        opened = self._opened.get(call.number(0))
        if opened is None:
            return False
        data = b"".join(call.strings(1))[: call.result]
        if call.name.startswith("p"):
            opened.node.write(call.number(3), data)
            return True
        at = len(opened.node.content) if opened.append else opened.offset
        opened.node.write(at, data)
        opened.offset = at + len(data)
        return True

    def _resize(self, node: File, call: Call) -> None:
        if call.name == "ftruncate":
            node.truncate(call.number(1))
        else:
            assert call.arguments[1] == "0", call
            node.truncate(max(len(node.content), call.number(2) + call.number(3)))

    def _put(self, call: Call, number: int, node: Directory | Link | None) -> bool:
        place = self._place(call, number)
        if place:
            place[0].put({place[1]: node})
        return place is not None

    def _move(self, call: Call, number: int, *, keep: bool) -> bool:
        old, new = self._place(call, number), self._place(call, 2 * number + 1)
        if old is None and new is None:
            return False
        assert old is not None, call
        assert new is not None, call
        node = old[0].names[old[1]]
        if keep:
            new[0].put({new[1]: node})
        else:
            assert old[0] is new[0], f"between directories: {call}"
            old[0].put({old[1]: None, new[1]: node})
        return True

    def _other(self, call: Call) -> None:
        """Follow what a call does to descriptors and modes."""
        if call.name in ("chmod", "fchmodat"):
            at = 1 if call.name == "fchmodat" else 0
            place = self._place(call, at, follow=True)
            node = place[0].names.get(place[1]) if place else None
            if isinstance(node, File | Directory):
                node.mode = int(call.arguments[at + 1], 8)
            return
        opened = self._opened.get(call.number(4 if call.name == "mmap" else 0))
        if call.name == "close":
            self._opened.pop(call.number(0), None)
        elif call.name.startswith("dup") or (call.name == "fcntl" and call.arguments[1].startswith("F_DUPFD")):
            self._opened.pop(call.result, None)
            if opened:
                self._opened[call.result] = opened
        elif opened is None:
            return
        elif call.name == "lseek":
            opened.offset = call.result
        elif call.name == "fchmod":
            opened.node.mode = int(call.arguments[1], 8)
        elif call.name == "mmap":
            shared = call.arguments[3].startswith("MAP_SHARED") and "PROT_WRITE" in call.arguments[2]
            opened.node.mapped = opened.node.mapped or shared
        else:
            assert call.name in IGNORED, f"{call.name} is not played"

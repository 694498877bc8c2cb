"""The objects of a git repository, read through git itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.scan.matcher import PIECE, Place

_SAFE = ("--no-replace-objects", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


class Object(NamedTuple):
    """The contents of one object; reads end where it ends."""

    pipe: IO[bytes]
    left: list[int]

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        content = self.pipe.read(min(size, self.left[0]))
        self.left[0] -= len(content)
        if not content and self.left[0]:
            raise OSError(5, "git ended in the middle of an object")
        return content


def history(repository: str) -> Iterator[tuple[str, Place]]:
    """Yield id and contents of every blob, commit message and tag, reachable or not.

    Raises `InvalidInputError` when there is no repository.
    """
    _git(repository, "rev-parse", "--git-dir")
    yield from _objects(repository, ["--batch-all-objects", "--unordered"], None, {})


def staged(repository: str) -> Iterator[tuple[str, Place]]:
    """Yield id and contents of every file that the next commit adds or changes."""
    raw = _git(repository, "diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff",
               "--diff-filter=ACMT", "--ignore-submodules")  # fmt: skip
    fields = raw.split(b"\0")
    names = {head.split()[3].decode(): os.fsdecode(path) for head, path in zip(fields[::2], fields[1::2], strict=False)}
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{each}\n" for each in names).encode())
        wanted.seek(0)
        yield from _objects(repository, [], wanted, names)


def where(repository: str, blob: str) -> str:
    """Return commit and path of an object, or that no branch or tag leads to it."""
    raw = _git(repository, "log", "--all", "--reverse", "--format=%H", "--raw", "-z", "--no-abbrev", "--no-renames",
               "--no-ext-diff", "-m", f"--find-object={blob}")  # fmt: skip
    words = raw.replace(b"\n", b"\0").split(b"\0")
    commit = ""
    for word, path in zip(words, [*words[1:], b""], strict=True):
        if word.startswith(b":") and blob.encode() == word.split()[3]:
            return f"commit {commit[:12]}:{os.fsdecode(path)}"
        if len(word) in (40, 64) and not word.startswith(b":"):
            commit = word.decode()
    return f"blob {blob[:12]}"


def _objects(
    repository: str, options: Sequence[str], wanted: IO[bytes] | None, names: dict[str, str]
) -> Iterator[tuple[str, Place]]:
    argv = ["git", *_SAFE, "-C", repository, "cat-file", "--batch", "--buffer", *options]
    with subprocess.Popen(argv, stdin=wanted or subprocess.DEVNULL, stdout=subprocess.PIPE) as git:  # noqa: S603
        assert git.stdout is not None
        try:
            yield from _contents(git.stdout, names)
        except BaseException:
            # Nobody reads on, and git would wait for that for ever.
            git.kill()
            raise
    if git.returncode:
        raise StrongroomError("git could not read its objects; try `git fsck`")


def _contents(pipe: IO[bytes], names: dict[str, str]) -> Iterator[tuple[str, Place]]:
    while head := pipe.readline():
        if head.endswith(b" missing\n"):
            raise StrongroomError(f"git has no object {head.split()[0].decode()}; try `git fsck`")
        each, kind, size = head.decode().split()
        content = Object(pipe, [int(size)])
        if kind != "tree":
            yield each, Place(names.get(each) or f"{kind} {each[:12]}", content)
        while content.read(PIECE):
            pass
        pipe.read(1)


def _git(repository: str, *words: str) -> bytes:
    try:
        argv = ["git", *_SAFE, "-C", repository, *words]
        done = subprocess.run(argv, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise InvalidInputError("there is no program git here") from None
    if done.returncode:
        raise InvalidInputError(f"{repository} is no git repository that can be read: `git {words[0]}` failed")
    return done.stdout

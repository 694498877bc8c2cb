"""What a git repository holds: every object, and what is staged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple

from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.scan.matcher import PIECE, Place
from strongroom.scan.repository import Repository
from strongroom.scan.staging import copy_index, head_of

_EMPTY_TREE = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""What the first commit is compared with. git knows it without storing it."""
_COMMITS = "commits"
_AT_ONCE = 500
"""Objects to ask for in one command line."""


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


def history(repository: Repository) -> Iterator[tuple[str, str, Place]]:
    """Yield id, kind and contents of every blob, commit message and tag, reachable or not."""
    with open(repository.path(_COMMITS), "wb") as commits:
        for each, kind, place in _objects(repository, "--batch-all-objects", "--unordered"):
            if kind == "commit":
                commits.write(each.encode() + b"\n")
            yield each, kind, place


def staged(repository: Repository) -> Iterator[Place]:
    """Yield the contents of every file that the next commit adds or changes.

    Raises `InvalidInputError` when the index cannot be read.
    """
    copy_index(repository)
    before = head_of(repository) or _EMPTY_TREE[repository.object_format]
    raw = repository.git(
        "diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=ACMT",
        "--ignore-submodules", before, "--",
    )  # fmt: skip
    if raw is None:
        raise InvalidInputError(f"git cannot read the index of {repository.source.git}; try `git status`")
    fields = raw.split(b"\0")
    names = {head.split()[3].decode(): os.fsdecode(path) for head, path in zip(fields[::2], fields[1::2], strict=False)}
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{each}\n" for each in names).encode())
        wanted.seek(0)
        for each, _, place in _objects(repository, stdin=wanted):
            yield place._replace(called=names[each])


def where(repository: Repository, blobs: Collection[str]) -> dict[str, str]:
    """Return commit and path of blobs that `history` has yielded to its end; those in no commit are left out."""
    found: dict[str, str] = {}
    left = sorted(blobs)
    if not left:
        return found
    with open(repository.path(_COMMITS), "rb") as commits:
        # The oldest first, since that is where a value came in. Unreachable commits are listed too.
        ordered = repository.git("rev-list", "--stdin", "--reverse", stdin=commits)
    for start in range(0, len(left), _AT_ONCE):
        some = [f"--find-object={each}" for each in left[start : start + _AT_ONCE]]
        raw = repository.git(
            "diff-tree", "--stdin", "-r", "-m", "--root", "--raw", "-z", "--no-abbrev", "--no-renames", *some,
            content=ordered or b"",
        )  # fmt: skip
        for blob, place in _introduced(raw or b""):
            found.setdefault(blob, place)
    return found


def _introduced(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield blob and place of each change in the output of `diff-tree`, in its order."""
    words = iter(raw.split(b"\0"))
    commit = ""
    for word in words:
        # The id of a commit ends with a line feed, and what follows is the first of its changes.
        *ids, change = word.rsplit(b"\n", 1)
        if ids:
            commit = ids[-1].split()[0].decode()
        if change.startswith(b":"):
            yield change.split()[3].decode(), f"commit {commit[:12]}:{os.fsdecode(next(words))}"
        elif change:
            commit = change.split()[0].decode()


def _objects(repository: Repository, *options: str, stdin: IO[bytes] | None = None) -> Iterator[tuple[str, str, Place]]:
    with repository.start("cat-file", "--batch", "--buffer", *options, stdin=stdin) as git:
        assert git.stdout is not None
        try:
            yield from _contents(git.stdout)
        except BaseException:
            # Nobody reads on, and git would wait for that for ever.
            git.kill()
            raise
    if git.returncode:
        raise StrongroomError("git could not read its objects; try `git fsck`")


def _contents(pipe: IO[bytes]) -> Iterator[tuple[str, str, Place]]:
    while head := pipe.readline():
        if head.endswith(b" missing\n"):
            raise StrongroomError(f"git has no object {head.split()[0].decode()}; try `git fsck`")
        each, kind, size = head.decode().split()
        content = Object(pipe, [int(size)])
        if kind != "tree":
            yield each, kind, Place(f"{kind} {each[:12]}", content)
        while content.read(PIECE):
            pass
        pipe.read(1)

"""The index and HEAD of a repository, brought to the private one that git works on."""

from __future__ import annotations

import os
import shutil

from strongroom.errors import InvalidInputError
from strongroom.scan.repository import LONG_LIST, Repository, read
from strongroom.system.files import ANYBODY, open_file

_SYMBOLIC = 5
"""References that lead to another one; git follows no more."""
_LARGEST = 1 << 30
"""Bytes of an index or a table of references: ten million files."""
_OF_ONE_WORK_TREE = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")


def copy_index(repository: Repository) -> None:
    """Copy the index, which a hook finds in GIT_INDEX_FILE, and the file that it shares with older ones."""
    directory = repository.source.git
    _copy(os.environ.get("GIT_INDEX_FILE") or os.path.join(directory, "index"), repository.path("index"))
    for name in os.listdir(directory):
        if name.startswith("sharedindex.") and name.removeprefix("sharedindex.").isalnum():
            _copy(os.path.join(directory, name), repository.path(name))


def head_of(repository: Repository) -> str | None:
    """Return the id of the commit that HEAD leads to, None before the first one. Raises `InvalidInputError`."""
    found = _in_tables(repository) if repository.reftable else _in_files(repository)
    # It goes to git as an argument, where an option is not expected.
    if found is not None and not (len(found) in (40, 64) and set(found) <= set("0123456789abcdef")):
        raise InvalidInputError(f"HEAD of {repository.source.git} leads to no commit")
    return found


def _in_files(repository: Repository) -> str | None:
    git, common = repository.source.git, repository.source.common
    name = "HEAD"
    for _ in range(_SYMBOLIC):
        of_work_tree = name == "HEAD" or name.startswith(_OF_ONE_WORK_TREE)
        text = (read(os.path.join(git if of_work_tree else common, name)) or b"").strip()
        if not text.startswith(b"ref:"):
            return text.decode(errors="replace") if text else _packed(common, name)
        name = os.fsdecode(text.removeprefix(b"ref:").strip())
        if not name.startswith("refs/") or ".." in name:
            break
    raise InvalidInputError(f"HEAD of {git} leads nowhere")


def _packed(common: str, name: str) -> str | None:
    ending = b" " + os.fsencode(name)
    for line in (read(os.path.join(common, "packed-refs"), LONG_LIST) or b"").splitlines():
        if line.endswith(ending) and len(line.split()) == 2:
            return line.split()[0].decode(errors="replace")
    return None


def _in_tables(repository: Repository) -> str | None:
    """Ask git, once for the references of the work tree and once for those that all work trees share."""
    name = "HEAD"
    for directory in dict.fromkeys((repository.source.git, repository.source.common)):
        shutil.rmtree(repository.path("reftable"), ignore_errors=True)
        os.mkdir(repository.path("reftable"))
        for table in os.listdir(os.path.join(directory, "reftable")):
            _copy(os.path.join(directory, "reftable", table), repository.path("reftable", table))
        if found := repository.git("rev-parse", "--quiet", "--verify", name):
            return found.decode().strip()
        name = os.fsdecode(repository.git("symbolic-ref", "--quiet", name) or b"HEAD").strip()
    return None


def _copy(source: str, target: str) -> None:
    try:
        descriptor = open_file(source, owners=ANYBODY, largest=_LARGEST, follow=True)
        with open(descriptor, "rb") as file, open(target, "wb") as copy:
            shutil.copyfileobj(file, copy)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidInputError(f"{source} cannot be read: {error.strerror}") from None

"""A set of files below the descriptor of a directory, replaced all at once.

The layout is that of Kubernetes' volumes (kubernetes/pkg/volume/util/atomic_writer.go): the files lie in a directory
`..<random>`, the link `..data` leads there, and for each name at the top a link leads through `..data`. A new set is
written beside the old one and becomes the current one by the renaming of one link.

Everything happens below the descriptor of a directory that belongs to the user alone, and no name is looked up by its
whole path again: a directory or link that somebody puts in place of another meanwhile changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from strongroom.errors import InvalidInputError
from strongroom.system.files import write_all

DATA = "..data"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Opens a directory, and no link to one."""
_Tree = dict[str, "bytes | _Tree"]


def for_directories(mode: int) -> int:
    """Return the mode of directories whose files have `mode`: those who may read can enter."""
    return 0o700 | (0o050 if mode & 0o040 else 0) | (0o005 if mode & 0o004 else 0)


def replace(directory: str, at: int, files: Mapping[str, bytes], mode: int) -> None:
    """Make the directory of descriptor `at` hold these files (path → contents) and none of an earlier set, durably.

    `directory` is what errors call it. Raises `InvalidInputError` when it holds something else by a file's name, and
    `OSError`; then the set before is still there.
    """
    tops = {path.split("/")[0] for path in files}
    for top in tops:
        if _exists(at, top) and not _ours(at, top):
            raise InvalidInputError(f"{directory} holds a {top!r} that was not rendered; use an empty directory")
    fresh = f"..{os.urandom(8).hex()}"
    try:
        os.mkdir(fresh, 0o700, dir_fd=at)
        _fill(at, fresh, _tree(files), mode)
        # What the link is going to lead to survives a power loss before the link does.
        os.fsync(at)
        _link(at, fresh, DATA)
    except BaseException:
        _wipe(at, fresh)
        raise
    for top in tops:
        if not _ours(at, top):
            _link(at, f"{DATA}/{top}", top)
    os.fsync(at)
    for entry in os.listdir(at):
        if entry not in (DATA, fresh) and _is_set(entry):
            _wipe(at, entry)
        elif entry not in tops and _ours(at, entry):
            os.unlink(entry, dir_fd=at)


def _tree(files: Mapping[str, bytes]) -> _Tree:
    tree: _Tree = {}
    for path, content in files.items():
        *directories, name = path.split("/")
        inner = tree
        for directory in directories:
            found = inner.setdefault(directory, {})
            assert isinstance(found, dict)
            inner = found
        inner[name] = content
    return tree


def _fill(at: int, name: str, tree: _Tree, mode: int) -> None:
    """Write the files of a directory that was just made, and make it and them durable."""
    directory = os.open(name, DIRECTORY, dir_fd=at)
    try:
        for entry, content in tree.items():
            if isinstance(content, dict):
                os.mkdir(entry, 0o700, dir_fd=directory)
                _fill(directory, entry, content, mode)
            else:
                _write(directory, entry, content, mode)
        os.fchmod(directory, for_directories(mode))
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(at: int, name: str, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=at)
    try:
        write_all(descriptor, content)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(at: int, target: str, name: str) -> None:
    draft = f"..{os.urandom(8).hex()}"
    os.symlink(target, draft, dir_fd=at)
    try:
        os.rename(draft, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        os.unlink(draft, dir_fd=at)
        raise


def _exists(at: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _ours(at: int, name: str) -> bool:
    try:
        return os.readlink(name, dir_fd=at) == f"{DATA}/{name}"
    except OSError:
        return False


def _is_set(name: str) -> bool:
    """True for a set of files, or the draft of a link, that an earlier rendering left."""
    return name.startswith("..") and len(name) == 18 and set(name[2:]) <= set("0123456789abcdef")


def _wipe(at: int, name: str) -> None:
    from shutil import rmtree

    try:
        os.unlink(name, dir_fd=at)
    except IsADirectoryError:
        rmtree(name, ignore_errors=True, dir_fd=at)
    except FileNotFoundError:
        pass

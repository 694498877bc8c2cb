"""Whose files a log may consist of. Who may write to a log's directory can replace the log."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection

from strongroom.system.files import UnsafeFileError, make_directories, open_file


class Directory:
    """The directory of a log, judged: which owners and which group its files may have."""

    __slots__ = ("group", "open_to_all", "owners")

    def __init__(self, path: str, owners: Collection[int]) -> None:
        """Raises `OSError`, and `UnsafeFileError` for the directory of another user."""
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            raise UnsafeFileError(path, "it has become a symbolic link")
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        check_directory(path, found, owners)
        mode = found.st_mode
        self.owners = {*owners, found.st_uid}
        self.group = found.st_gid if mode & stat.S_IWGRP and not mode & stat.S_IWOTH else None
        """What several users share through a group, any of them may have made."""
        self.open_to_all = bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
        """Anybody can put a file in another's place here."""

    def open(self, path: str, flags: int = os.O_RDONLY, *, strict: bool = False) -> int:
        """Open a file of the log; raises `OSError`, and `UnsafeFileError` for a file of a stranger.

        Where all may write, anybody may have gone on with the log, and anybody could have replaced it: then files of
        all owners are taken, but not with `strict`.
        """
        owners = self.owners
        if self.open_to_all and not strict:
            owners = {*owners, os.lstat(path).st_uid}
        return open_file(path, flags, owners=owners, group=self.group)

    def trusts(self, path: str) -> bool:
        """Return whether the file at `path` belongs to somebody whose files are taken."""
        found = os.lstat(path)
        return self.open_to_all or found.st_uid in (0, os.geteuid(), *self.owners) or found.st_gid == self.group


def check_directory(path: str, found: os.stat_result, owners: Collection[int]) -> None:
    """Raise `UnsafeFileError` unless the directory is root's, ours, one of `owners`' or shared with our group."""
    if found.st_uid in (0, os.geteuid(), *owners):
        return
    if found.st_mode & stat.S_IWGRP and found.st_gid in (os.getegid(), *os.getgroups()):
        return
    raise UnsafeFileError(
        path, f"the directory belongs to another user (uid {found.st_uid}), who could replace what is in it; "
        "name another, or share one through a group",
    )  # fmt: skip


def make(directory: str, owners: Collection[int]) -> None:
    """Make the directory of a log, below one that may be used; nobody else can enter it, whatever the umask."""
    above = directory
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if above != directory:
        check_directory(above, os.stat(above), owners)
    make_directories(directory)

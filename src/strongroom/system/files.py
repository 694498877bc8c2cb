"""Files in directories where others may write too: opened without trust, and made whole or not at all.

A name in such a directory can lead anywhere: to a link, a FIFO that nobody writes to, a device without end, a file of
somebody else. So a file is opened first, then judged by its descriptor, and only then read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Collection
from contextlib import suppress

ANYBODY: Collection[int] = range(1 << 32)
"""Every user id, where it does not matter whose a file is."""
_MADE = "user.strongroom.made"


class UnsafeFileError(OSError):
    """What lies at the path is not a file that we would have made; `strerror` says why, and `filename` where."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EPERM, why, path)


def open_file(
    path: str,
    flags: int = os.O_RDONLY,
    *,
    owners: Collection[int] = (),
    group: int | None = None,
    largest: int | None = None,
    follow: bool = False,
) -> int:
    """Open an existing regular file and return its descriptor.

    The file must belong to root, to the user of this process, to one of `owners` (user ids) or to the group `group`,
    and have at most `largest` bytes. A link as the last part of the path is followed only with `follow`. Never waits
    for a FIFO.

    Raises `OSError`, and `UnsafeFileError` for a file that is none of this.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for its other end. It means nothing for a regular file.
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        if error.errno == errno.ELOOP and not follow and os.path.islink(path):
            raise UnsafeFileError(path, "it is a symbolic link; remove it") from None
        raise
    try:
        check_file(path, os.fstat(descriptor), owners=owners, group=group, largest=largest)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_file(
    path: str,
    found: os.stat_result,
    *,
    owners: Collection[int] = (),
    group: int | None = None,
    largest: int | None = None,
) -> None:
    """Raise `UnsafeFileError` unless `found` is a file as `open_file` takes it."""
    if stat.S_ISDIR(found.st_mode):
        raise UnsafeFileError(path, "it is a directory, not a regular file; name a file")
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFileError(path, "it is not a regular file; remove it")
    if found.st_uid not in (0, os.geteuid()) and found.st_uid not in owners and found.st_gid != group:
        raise UnsafeFileError(path, f"it belongs to another user (uid {found.st_uid}); remove it")
    if largest is not None and found.st_size > largest:
        raise UnsafeFileError(path, f"it has {found.st_size:,} bytes, and at most {largest:,} are expected")


def owners_beside(path: str, *more: int) -> Collection[int]:
    """Return the user ids whose files are taken at `path`, besides root and our own.

    Anybody may have made it in a directory that only its owner and group can write to. Where everybody can, as in
    /tmp, it must be the owner of the directory, or one of `more`.
    """
    directory = os.stat(os.path.dirname(path) or ".")
    return (directory.st_uid, *more) if directory.st_mode & stat.S_IWOTH else ANYBODY


def check_store_owner(path: str, found: os.stat_result) -> None:
    """Raise `UnsafeFileError` for the file of a store that a stranger may have put there."""
    if found.st_uid not in (0, os.geteuid()) and found.st_uid not in owners_beside(path):
        directory = os.path.dirname(path)
        raise UnsafeFileError(
            path,
            f"it belongs to another user (uid {found.st_uid}), and everybody can put files into {directory}; run this "
            f"as that user, or `chmod o-w {directory}` if the store is the right one",
        )


def check_only_name(path: str, descriptor: int) -> None:
    """Raise `UnsafeFileError` when the open file at `path` has other names too (hard links).

    A name that `make_new` gave it before it was killed is removed.
    """
    if os.fstat(descriptor).st_nlink > 1:
        has_only_name(path)
        names = os.fstat(descriptor).st_nlink
        if names > 1:
            raise UnsafeFileError(path, f"it has {names} names (hard links); remove the others")


def has_only_name(path: str) -> bool:
    """True when the file at `path` has no other name (hard link).

    A name that `make_new` gave it before it was killed is removed first; nothing is lost with that.
    """
    found = os.lstat(path)
    if found.st_nlink > 1:
        _remove_drafts(path, found)
        found = os.lstat(path)
    return found.st_nlink <= 1


def make_new(path: str, write: Callable[[str], None]) -> None:
    """Make the file `path`, of mode 0600, through `write(temporary path)`, durably.

    It appears complete or not at all, and never in place of another file, however many processes try at once.

    Raises `FileExistsError` when something is at `path`, and `OSError`.
    """
    draft = f"{path}.{os.urandom(8).hex()}.new"
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        write(draft)
        _move_to_unused(draft, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)
    sync_directory(path)


def make_directories(directory: str, mode: int = 0o700) -> None:
    """Make the directory and those above it that are missing, each durably and with `mode`, whatever the umask."""
    missing, directory = [], os.path.abspath(directory)
    while not os.path.isdir(directory):
        missing.append(directory)
        parent = os.path.dirname(directory) or os.curdir
        if parent == directory:
            break
        directory = parent
    for made in reversed(missing):
        try:
            os.mkdir(made, 0o700)
        except FileExistsError:
            # Another process was faster, or a file (or a link to nothing) has that name.
            if not os.path.isdir(made):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), made) from None
        else:
            os.chmod(made, mode)
            sync_directory(made)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`; a nearly full disk takes a part of it first, and only the next write says why."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_directory(path: str) -> None:
    """Make the directory entry of `path` survive a power loss."""
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _remove_drafts(path: str, made: os.stat_result) -> None:
    directory, name = os.path.split(path)
    is_draft = re.compile(rf"{re.escape(name)}\.[0-9a-f]{{16}}\.new").fullmatch
    with suppress(OSError), os.scandir(directory or ".") as entries:
        for entry in entries:
            if is_draft(entry.name) and os.path.samestat(entry.stat(follow_symlinks=False), made):
                os.unlink(entry.path)


def _move_to_unused(draft: str, path: str) -> None:
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # No hard links here (FAT, some network mounts): whoever makes the empty file has won the name.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.replace(draft, path)


def run_as(user: int) -> str:
    """Return the beginning of a command line that root types to run a program as the user with this id."""
    import pwd

    try:
        return f"runuser -u {pwd.getpwuid(user).pw_name} --"
    except KeyError:
        return f"setpriv --reuid={user} --regid={user} --clear-groups"


def mark(file: int | str) -> bool:
    """Note at a file (descriptor or path) that it was made, or accepted, on this file system; False when it cannot be.

    The note is an extended attribute that holds the file's inode number. git and zip carry no attributes, and a copy of
    the file has another number, so a file that came from elsewhere has no valid note.
    """
    try:
        os.setxattr(file, _MADE, b"%d" % os.stat(file).st_ino)
    except OSError:
        return False
    return True


def is_marked(path: str) -> bool:
    """True for a file that `mark` has marked at this very inode."""
    try:
        return os.getxattr(path, _MADE) == b"%d" % os.stat(path).st_ino
    except OSError:
        return False


def unmark(path: str) -> None:
    """Take the note of `mark` away, if there is one."""
    with suppress(OSError):
        os.removexattr(path, _MADE)

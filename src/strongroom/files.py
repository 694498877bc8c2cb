"""Files in directories where others may write too: opened without trust, and made whole or not at all.

A name in such a directory can lead anywhere: to a link, a FIFO that nobody writes to, a device without end, a file of
somebody else. So a file is opened first, then judged by its descriptor, and only then read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress

_MOST_LINKS = 40
"""Links on the way to a directory; the kernel follows no more."""


class UnsafeFileError(OSError):
    """What lies at the path is not a file that we would have made; `strerror` says why, and `filename` where."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EPERM, why, path)


def open_file(
    path: str,
    flags: int = os.O_RDONLY,
    *,
    owners: Collection[int] | None = (),
    largest: int | None = None,
    follow: bool = False,
) -> int:
    """Open an existing regular file and return its descriptor.

    The file must belong to root, to the user of this process or to one of `owners` (user ids; None for anybody), and
    have at most `largest` bytes. A link as the last part of the path is followed only with `follow`. Never waits for a
    FIFO.

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
        check_file(path, os.fstat(descriptor), owners=owners, largest=largest)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_directory(path: str, *, own_links: bool = False) -> int:
    """Open a directory and return its descriptor, so that nobody can put another one in its place from then on.

    A link is followed only if it belongs to root, lies in a directory of root's that nobody else can write, and the
    path is absolute: `/var/run` is such a link. Others can be a stranger's, or come with a cloned tree. With
    `own_links`, each link of root's and of the user's own is followed.

    Raises `OSError`, and `UnsafeFileError` for a link that is none of this, or what is no directory.
    """
    way, links = _parts(path), 0
    with ExitStack() as opened:

        def enter(name: str, above: int | None = None) -> int:
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            opened.callback(os.close, descriptor)
            return descriptor

        here = enter("/" if path.startswith("/") else ".")
        while way:
            part = way.pop()
            there = enter(part, here)
            if not stat.S_ISLNK(os.fstat(there).st_mode):
                here = there
                continue
            links += 1
            roots = path.startswith("/") and _only_roots(here, there)
            own = own_links and os.fstat(there).st_uid in (0, os.geteuid())
            if links > _MOST_LINKS or not (roots or own):
                raise UnsafeFileError(path, f"{part} is a symbolic link; give the path that it leads to")
            target = os.readlink("", dir_fd=there)
            way += _parts(target)
            here = enter("/") if target.startswith("/") else here
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _only_roots(directory: int, entry: int) -> bool:
    holder = os.fstat(directory)
    return holder.st_uid == 0 and not holder.st_mode & 0o022 and os.fstat(entry).st_uid == 0


def check_file(
    path: str, found: os.stat_result, *, owners: Collection[int] | None = (), largest: int | None = None
) -> None:
    """Raise `UnsafeFileError` unless `found` is a file as `open_file` takes it."""
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFileError(path, "it is not a regular file; remove it")
    if owners is not None and found.st_uid not in (0, os.geteuid(), *owners):
        raise UnsafeFileError(path, f"it belongs to another user (uid {found.st_uid}); remove it")
    if largest is not None and found.st_size > largest:
        raise UnsafeFileError(path, f"it has {found.st_size:,} bytes, and at most {largest:,} are expected")


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
    missing = []
    while not os.path.isdir(directory):
        missing.append(directory)
        parent = os.path.dirname(directory)
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


def _move_to_unused(draft: str, path: str) -> None:
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # No hard links here (FAT, some network mounts): whoever makes the empty file has won the name.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.replace(draft, path)

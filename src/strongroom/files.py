"""Files in directories where others may write too: opened without trust, and made whole or not at all.

A name in such a directory can lead anywhere: to a link, a FIFO that nobody writes to, a device without end, a file of
somebody else. So a file is opened first, then judged by its descriptor, and only then read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from contextlib import suppress

_MOST_LINKS = 40
"""As Linux has it."""


class UnsafeFileError(OSError):
    """What lies at the path is not a file that we would have made; `strerror` says why, and `filename` where."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EPERM, why, path)


def open_file(
    path: str,
    flags: int = os.O_RDONLY,
    *,
    owners: Collection[int] = (),
    largest: int | None = None,
    follow: bool = False,
) -> int:
    """Open an existing regular file and return its descriptor.

    The file must belong to root, to the user of this process or to one of `owners` (user ids), and have at most
    `largest` bytes. A link as the last part of the path is followed only with `follow`. Never waits for a FIFO.

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


def check_file(path: str, found: os.stat_result, *, owners: Collection[int] = (), largest: int | None = None) -> None:
    """Raise `UnsafeFileError` unless `found` is a file as `open_file` takes it."""
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFileError(path, "it is not a regular file; remove it")
    if found.st_uid not in (0, os.geteuid(), *owners):
        raise UnsafeFileError(path, f"it belongs to another user (uid {found.st_uid}); remove it")
    if largest is not None and found.st_size > largest:
        raise UnsafeFileError(path, f"it has {found.st_size:,} bytes, and at most {largest:,} are expected")


def check_way(path: str, *, owners: Collection[int] = ()) -> str:
    """Return the real path of `path`; raise `UnsafeFileError` when another user could change what `path` leads to.

    The file or directory itself, each directory above it from `/` on, and each link on the way with the directories
    above its target must belong to root, to the user of this process or to one of `owners` (user ids). Nobody else
    may write there; a group may when it has no other members. A sticky directory, such as /tmp, is refused: whoever
    is first can take a name in it.

    What is found good can afterwards be changed only by these users. Raises `OSError` for a path that is not there.
    """
    trusted = {0, os.geteuid(), *owners}
    way, ahead = ["/"], _parts(os.path.join(os.getcwd(), path))
    _check_writers("/", os.lstat("/"), trusted)
    links = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            way = way[:-1] or way
            continue
        here = os.path.join(way[-1], part)
        found = os.lstat(here)
        _check_writers(here, found, trusted)
        if not stat.S_ISLNK(found.st_mode):
            way.append(here)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        ahead += _parts(target)
        way = way[:1] if target.startswith("/") else way
    return way[-1]


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the last one first. `..` stays: behind a link it leads elsewhere than it looks."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _check_writers(path: str, found: os.stat_result, trusted: Collection[int]) -> None:
    what = "directory" if stat.S_ISDIR(found.st_mode) else "file"
    if found.st_uid not in trusted:
        raise UnsafeFileError(path, f"this {what} belongs to another user (uid {found.st_uid})")
    if stat.S_ISLNK(found.st_mode):
        return  # the mode of a link means nothing
    if found.st_mode & 0o002:
        raise UnsafeFileError(path, f"every user can write to this {what}; `chmod o-w {path}`, or use another place")
    if found.st_mode & 0o020 and not _is_private_group(path, found.st_gid, trusted):
        raise UnsafeFileError(path, f"a group of users can write to this {what}; `chmod g-w {path}`")


def _is_private_group(path: str, group: int, trusted: Collection[int]) -> bool:
    """True when nobody but `trusted` is in the group, as where each user has a group of the same name."""
    import grp
    import pwd

    try:
        # With an access control list, the bits of the group are the most that the list grants to anybody.
        os.getxattr(path, "system.posix_acl_access")
    except OSError:
        pass
    else:
        return False
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        return False
    return members.union(user.pw_uid for user in pwd.getpwall() if user.pw_gid == group) <= set(trusted)


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

"""Making files that others must never see half-made, and saying what the operating system has against it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from strongroom.errors import ConfigError, StoreError, StoreExistsError, StoreNotFoundError, StrongroomError
from strongroom.system import files
from strongroom.system.files import UnsafeFileError

_REASONS = {
    errno.EACCES: "permission denied; run as the user who owns it, or change its owner or mode",
    errno.EPERM: "the operation is not permitted; run as the user who owns it, or change its owner or mode",
    errno.EROFS: "its file system is read-only; mount it writable, or move the store",
    errno.ENOSPC: "the disk is full and nothing was changed; free some space and try again",
    errno.EDQUOT: "the disk quota is used up and nothing was changed; free some space and try again",
    errno.EIO: "the disk reported an input/output error; check the disk, then restore the store from a backup",
    errno.EISDIR: "it is a directory; name a file",
    errno.ENOTDIR: "a part of its path is a file, not a directory; check the path",
    errno.ENAMETOOLONG: "its name is too long for the file system; choose a shorter one",
    errno.ELOOP: "its path leads through a symbolic link that leads to itself, or where none may be; check the path",
    errno.ENFILE: "this machine has too many open files; close some, or raise its limit (fs.file-max)",
    errno.EMFILE: "this process has too many open files; raise its limit (ulimit -n)",
    errno.ENOMEM: "there is not enough memory; free some, and try again",
    errno.EFBIG: "it is larger than this process may write (ulimit -f) or its file system can hold",
}


def os_error(error: OSError, url: str) -> StrongroomError:
    """Return what to raise for `error` on the store `url`."""
    if error.errno == errno.ENOENT:
        return not_found(url)
    if isinstance(error, UnsafeFileError):
        return StoreError(f"{error.filename}: {error.strerror}")
    reason = _REASONS.get(error.errno or 0) or f"{error.strerror or 'the operating system refused'}; check the path"
    return StoreError(f"{url}: {reason}")


@contextmanager
def os_errors(url: str) -> Iterator[None]:
    """Raise what `os_error` makes of an `OSError` of the block."""
    try:
        yield
    except OSError as error:
        raise os_error(error, url) from None


def not_found(url: str) -> StoreNotFoundError:
    """Return the error for a place that holds no store."""
    return StoreNotFoundError(f"there is no store at {url}; make one with `strongroom init`, or check the path")


def absolute(path: str, url: str) -> str:
    """Return `path` made absolute, so that a later `chdir` does not change which file it names."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ConfigError(f"{url!a} names no file; it holds what no file's name can hold") from None
    if not path or "\0" in path:
        raise ConfigError(f"{url!a} names no file; write a path after the colon")
    return os.path.abspath(path)


def make_new(path: str, url: str, write: Callable[[str], None]) -> None:
    """Make the file `path`, private to its owner (0600), through `write(temporary path)`.

    It appears complete or not at all, and never in place of another file, however many processes try at once.
    Missing directories are made (0700).

    Raises `StoreExistsError` when something is at `path`, `StoreError` when it cannot be made.
    """
    try:
        files.make_directories(os.path.dirname(path))
        files.make_new(path, write)
    except FileExistsError:
        raise StoreExistsError(
            f"{url} exists already and was left as it is; open it, or remove it first if nobody needs it"
        ) from None
    except OSError as error:
        raise os_error(error, url) from None


def write_whole(path: str, content: bytes, like: os.stat_result | None = None) -> None:
    """Write `content` to the new file `path` durably, with the owner and the mode of the file `like` (else 0600).

    Raises `OSError`; a part may be there then.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        files.write_all(descriptor, content)
        if like is not None:
            copy_owner_and_mode(like, descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_owner_and_mode(found: os.stat_result, descriptor: int) -> None:
    """Give the open file the owner, the group and the mode of the file `found`, as far as we may."""
    mode = found.st_mode & 0o777
    for owner, group in ((found.st_uid, found.st_gid), (-1, found.st_gid)):
        with suppress(OSError):  # not root: then at least the group, if it is one of ours
            os.fchown(descriptor, owner, group)
            break
    if os.fstat(descriptor).st_gid != found.st_gid:
        # Rights that were given to that group must not pass to ours.
        mode &= ~0o070
    os.fchmod(descriptor, mode)

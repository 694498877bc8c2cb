"""How the one file of a file store is opened, and replaced by the next one: whole, durably, and in its own place."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress

from strongroom.errors import StoreError
from strongroom.stores.placing import write_whole
from strongroom.system.files import (
    ANYBODY,
    UnsafeFileError,
    check_file,
    check_only_name,
    check_store_owner,
    open_file,
    sync_directory,
)
from strongroom.system.ways import resolve

MOST_BYTES = 256 * 1024 * 1024
"""Of the file. Each commit writes the whole of it; a store that comes near this belongs into a database."""

Signature = tuple[int, int, int, int, int]


def signature_of(found: os.stat_result) -> Signature:
    """Return what is another after each commit, and for each other file."""
    return (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def open_at(path: str, url: str) -> int:
    """Open the store's file for reading; links of root's, our own and the directory's owner are followed.

    Raises `StoreError` for a file that has been replaced where it was mounted from, and `OSError`.
    """
    real = resolve(path)
    descriptor = open_file(real, owners=ANYBODY, largest=MOST_BYTES)
    try:
        check_store_owner(real, os.fstat(descriptor))
        if os.fstat(descriptor).st_nlink == 0 and _is_mounted(real):
            raise StoreError(
                f"{url} is a mount of one file, which has been replaced or removed where it comes from: what is here "
                "never changes again. Mount its directory instead"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(descriptor: int, path: str) -> bytes:
    """Return all that the open file holds; raises `UnsafeFileError` when that is too much, and `OSError`."""
    with open(descriptor, "rb", closefd=False) as file:
        # A file of /proc has no size, and another may grow while it is read.
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        check_file(path, os.fstat(descriptor), owners=ANYBODY, largest=MOST_BYTES)
        raise StoreError(f"file:{path} grows without end; at most {MOST_BYTES:,} bytes are read")
    return content


def check_unchanged(path: str, real: str, read: Signature, url: str) -> os.stat_result:
    """Return the state of the file at `real`, where `path` leads; it must still be the one that was read.

    Raises `StoreError` when it is not, or when it has several names, and `OSError`.
    """
    if resolve(path) != real:
        raise _replaced(url)
    descriptor = open_file(real, owners=ANYBODY)
    try:
        found = os.fstat(descriptor)
        check_store_owner(real, found)
        # Without the time of the last change of its attributes: a new mode or another name is not another content.
        if signature_of(found)[:4] != read[:4]:
            raise _replaced(url)
        check_only_name(real, descriptor)
        return found
    except UnsafeFileError as error:
        problem = error.strerror
    finally:
        os.close(descriptor)
    raise StoreError(
        f"{url}: {problem}. A change would be seen under one name only, so nothing was changed. To keep the others as "
        f"they are: cp -p {real} {real}.copy && mv {real}.copy {real}"
    )


def _replaced(url: str) -> StoreError:
    return StoreError(
        f"{url} was replaced by another program while it was to be changed; nothing was changed. Try again"
    )


def replace(real: str, content: bytes, like: os.stat_result, url: str) -> None:
    """Put `content` in the place of the file at `real`, with its owner and mode; to be called under the write lock.

    Raises `StoreError` and `OSError`; then nothing was changed.
    """
    if len(content) > MOST_BYTES:
        raise StoreError(
            f"{url} would have {len(content):,} bytes, and a file store holds {MOST_BYTES:,}; nothing was changed. "
            "Keep fewer versions (max_versions), or use a sqlite: store"
        )
    directory, name = os.path.split(real)
    draft = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        write_whole(draft, content, like=like)
        _copy_access_list(real, draft)
        os.replace(draft, real)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(draft)
        if isinstance(error, OSError) and error.errno == errno.EBUSY:
            raise StoreError(
                f"{url} is a mount of one file, which cannot be replaced; nothing was changed. Mount its directory "
                "instead"
            ) from None
        raise
    sync_directory(real)


def sweep(real: str, owners: Sequence[int]) -> None:
    """Remove the drafts that killed writers left of the file at `real`; to be called under the write lock.

    Only regular files of `owners` (user ids) are removed. One that cannot be removed is left.
    """
    directory, name = os.path.split(real)
    is_draft = re.compile(rf"\.{re.escape(name)}(\.[0-9a-f]{{16}})?\.tmp").fullmatch
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if is_draft(entry.name):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_uid in owners:
                        os.unlink(entry.path)


def _copy_access_list(real: str, draft: str) -> None:
    """Give the draft the access control list of the file, without which the mode means another thing for its group."""
    with suppress(OSError):
        found = os.getxattr(real, "system.posix_acl_access")
        try:
            os.setxattr(draft, "system.posix_acl_access", found)
        except OSError:
            os.chmod(draft, 0o600)


def _is_mounted(path: str) -> bool:
    """True when something is mounted at `path` itself."""
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(_unescaped(line.split(" ")[4]) == path for line in mounts)
    return False


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)

"""The way to a file: each directory and each symbolic link that a path leads through, and who can change them.

Whoever can write to one directory on the way to a file can put another file in its place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import ExitStack

from strongroom.system.files import UnsafeFileError, owners_beside
from strongroom.system.frozen import Frozen

_MOST_LINKS = 40
"""As many as Linux follows."""
_ACL = "system.posix_acl_access"


class Fault(Frozen):
    """What lets another user decide where a path leads."""

    __slots__ = ("mend", "owner", "path", "why")

    def __init__(self, mend: str, owner: int | None, path: str, why: str) -> None:
        self.mend = mend
        """The command that mends it; empty when only another place helps."""
        self.owner = owner
        """The user whose it is, when that is the fault."""
        self.path = path
        """The directory, link or file at fault."""
        self.why = why

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


def steps(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each directory and link on the way to `path`, and what is there, from `/` on, with its `os.lstat`.

    Links are followed as the kernel does it: theirs and the directories behind them are steps too. Ends at the first
    step that is missing. Raises `OSError` when the way cannot be followed.
    """
    return ((step, status) for step, status, _ in _walk(path) if status is not None)


def resolve(path: str, *, owners: Collection[int] | None = None) -> str:
    """Return the absolute `path` without symbolic links; the end of it need not exist.

    A link must belong to root, to the user of this process, or to one of `owners` (user ids). By default anybody may
    have made it, but where everybody can write, as in /tmp, it must be the owner of the link's directory: there,
    strangers can make links too.

    Raises `UnsafeFileError` for another link, and `OSError`.
    """
    here = "/"
    for step, status, ahead in _walk(path):
        if status is None:
            return os.path.normpath(os.path.join(step, *reversed(ahead)))
        if not stat.S_ISLNK(status.st_mode):
            here = step
        elif status.st_uid not in (0, os.geteuid()) and status.st_uid not in (
            owners_beside(step) if owners is None else owners
        ):
            whose = f"it is a symbolic link of another user (uid {status.st_uid})"
            raise UnsafeFileError(step, f"{whose}; name what it leads to, or remove it")
    return here


def check_way(path: str, *, owners: Collection[int] = ()) -> str:
    """Return the real path of `path`; raise `UnsafeFileError` when another user could change what `path` leads to.

    The file or directory itself, each directory above it from `/` on, and each link on the way with the directories
    above its target must belong to root, to the user of this process or to one of `owners` (user ids). Nobody else
    may write there; a group may when it has no other members. A sticky directory, such as /tmp, is refused: whoever
    is first can take a name in it.

    What is found good can afterwards be changed only by these users. Raises `OSError` for a path that is not there.
    """
    here = "/"
    for step, status, _ in _walk(path):
        if status is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), step)
        if found := judge(step, status, owners):
            raise UnsafeFileError(
                found.path, f"{found.why}; " + (f"`{found.mend}`" if found.mend else "use another place")
            )
        here = here if stat.S_ISLNK(status.st_mode) else step
    return here


def judge(step: str, status: os.stat_result, owners: Collection[int] = ()) -> Fault | None:
    """Return what lets somebody else than root, the user of this process and `owners` change this one step."""
    trusted, mode = (0, os.geteuid(), *owners), status.st_mode
    if status.st_uid not in trusted:
        return Fault("", status.st_uid, step, f"belongs to another user (uid {status.st_uid})")
    if not mode & (stat.S_IWOTH | stat.S_IWGRP) or stat.S_ISLNK(mode):
        return None  # the mode of a link means nothing
    if mode & stat.S_IWOTH:
        mend = "" if mode & stat.S_ISVTX else f"chmod o-w {step}"
        return Fault(mend, None, step, f"can be written by others (mode {mode & 0o7777:04o})")
    if mode & stat.S_IWGRP and not is_private_group(step, status, trusted):
        return Fault(f"chmod g-w {step}", None, step, f"can be written by a group (mode {mode & 0o7777:04o})")
    return None


def is_private_group(step: str, status: os.stat_result, trusted: Collection[int] | None = None) -> bool:
    """True when nobody but `trusted` (default: root and this user) is in the file's group.

    So it is where each user has a group of the same name, and the umask is 002. Debian's OpenSSH judges the same way
    (user-group-modes.patch). With an access control list, the group bits are the most that the list grants to anybody.
    """
    import grp
    import pwd

    try:
        os.getxattr(step, _ACL, follow_symlinks=False)
    except OSError:
        pass
    else:
        return False
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(status.st_gid).gr_mem}
    except KeyError:
        return False
    members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == status.st_gid}
    return members <= set((0, os.geteuid()) if trusted is None else trusted)


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


def _only_roots(directory: int, entry: int) -> bool:
    holder = os.fstat(directory)
    return holder.st_uid == 0 and not holder.st_mode & 0o022 and os.fstat(entry).st_uid == 0


def _walk(path: str) -> Iterator[tuple[str, os.stat_result | None, list[str]]]:
    """Yield each step with its status and the parts that are still ahead; the status of a missing end is None."""
    here, links = "/", 0
    ahead = _parts(path if path.startswith("/") else os.path.join(os.getcwd(), path))
    yield here, os.lstat(here), ahead
    while ahead:
        name = ahead.pop()
        if name == "..":
            step = os.path.dirname(here)
        else:
            step = f"/{name}" if here == "/" else f"{here}/{name}"
        try:
            status = os.lstat(step)
        except (FileNotFoundError, NotADirectoryError):
            yield step, None, ahead
            return
        yield step, status, ahead
        if not stat.S_ISLNK(status.st_mode):
            here = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(step)
        ahead += _parts(target)
        here = "/" if target.startswith("/") else here


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the last one first. `..` stays: behind a link it leads elsewhere than it looks."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]

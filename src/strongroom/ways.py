"""The way to a file: each directory and each symbolic link that a path leads through, and who can change them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from contextlib import ExitStack

from strongroom.files import UnsafeFileError, owners_beside

_MOST_LINKS = 40
"""As many as Linux follows."""


def resolve(path: str) -> str:
    """Return the absolute `path` without symbolic links; the end of it need not exist.

    Where everybody can write, as in /tmp, a link must belong to root, to the user of this process or to the owner of
    its directory: everybody else can make links there too.

    Raises `UnsafeFileError` for another link, and `OSError`.
    """

    def judge(there: str, found: os.stat_result) -> None:
        if not stat.S_ISLNK(found.st_mode) or found.st_uid in (0, os.geteuid()):
            return
        if found.st_uid not in owners_beside(there):
            whose = f"it is a symbolic link of another user (uid {found.st_uid})"
            raise UnsafeFileError(there, f"{whose}; name what it leads to, or remove it")

    return _follow(path, judge, must_exist=False)


def check_way(path: str, *, owners: Collection[int] = ()) -> str:
    """Return the real path of `path`; raise `UnsafeFileError` when another user could change what `path` leads to.

    The file or directory itself, each directory above it from `/` on, and each link on the way with the directories
    above its target must belong to root, to the user of this process or to one of `owners` (user ids). Nobody else
    may write there; a group may when it has no other members. A sticky directory, such as /tmp, is refused: whoever
    is first can take a name in it.

    What is found good can afterwards be changed only by these users. Raises `OSError` for a path that is not there.
    """
    trusted = {0, os.geteuid(), *owners}
    return _follow(path, lambda there, found: _check_writers(there, found, trusted), must_exist=True)


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


def _follow(path: str, judge: Callable[[str, os.stat_result], None], *, must_exist: bool) -> str:
    """Return where `path` leads, as the kernel follows it; `judge` sees each part with its own status, links too."""
    here, links = "/", 0
    ahead = _parts(os.path.join(os.getcwd(), path))
    judge(here, os.lstat(here))
    while ahead:
        part = ahead.pop()
        if part == "..":
            here = os.path.dirname(here)
            continue
        there = os.path.join(here, part)
        try:
            found = os.lstat(there)
        except FileNotFoundError:
            if must_exist:
                raise
            return os.path.normpath(os.path.join(there, *reversed(ahead)))
        judge(there, found)
        if not stat.S_ISLNK(found.st_mode):
            here = there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(there)
        ahead += _parts(target)
        here = "/" if target.startswith("/") else here
    return here


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

"""Who decides what a path leads to: the judgement on files that were found, and not named by the user.

Whoever can write to one directory on the way to a file can put another file in its place. So each step of the way must
belong to root or to the user of this process, and nobody else may be able to write there: every directory from `/` on,
every link, the directories that links lead through, and the file. A sticky directory such as /tmp does not qualify:
nobody can remove our files there, but everybody can add files that are then found.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from strongroom.frozen import Frozen

_ACL = "system.posix_acl_access"
_MOST_LINKS = 40
_OTHERS, _GROUP = stat.S_IWOTH, stat.S_IWGRP


class Fault(Frozen):
    """Why a file that was found is not trusted."""

    __slots__ = ("mend", "path", "why")

    def __init__(self, mend: str, path: str, why: str) -> None:
        self.mend = mend
        """What to do about it; empty when only another place helps."""
        self.path = path
        """The directory, link or file at fault."""
        self.why = why

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


def fault(path: str, beside: str = "") -> Fault | None:
    """Return what lets another user decide what is at `path`, None when nothing does.

    What does not exist is not judged, only the way to it. `beside` is a path that was judged before and was right: of a
    file in the same directory only the file itself is looked at.
    """
    try:
        if beside and os.path.dirname(path) == os.path.dirname(beside):
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                return _judge(path, status)
        return next((found for step, status in steps(path) if (found := _judge(step, status))), None)
    except OSError as error:
        return Fault("", path, f"cannot be examined: {error.strerror}")


def is_roots(path: str) -> bool:
    """True for a file that root has put there, and this user could not have.

    Such a file is part of the machine's configuration. For root this says nothing of most places, since root can write
    everywhere, and keeps clones too; what is below /etc counts.
    """
    user = os.geteuid()
    try:
        if user == 0:
            ways = (os.path.abspath(path), os.path.realpath(path))
            return all(way.startswith("/etc/") for way in ways) and all(s.st_uid == 0 for _, s in steps(path))
        return all(_is_out_of_reach(step, status) for step, status in steps(path))
    except OSError:
        return False


def is_strangers(path: str, status: os.stat_result) -> bool:
    """True for a file of another user in a directory where anybody can put one, such as /tmp.

    Everybody can put one there, so it is passed over: an error would let any user stop all others.
    """
    if status.st_uid in (0, os.geteuid()):
        return False
    return bool(os.stat(os.path.dirname(path)).st_mode & _OTHERS)


def steps(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each directory and link on the way to `path`, and what is there, from `/` on, with its `os.lstat`.

    Links are followed: theirs and the directories behind them are steps too. Ends at the first step that is missing.
    Raises `OSError` when the way cannot be followed.
    """
    # Not normalised: `..` after a link leads to where the link's directory is, as it does for the kernel.
    whole = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    here, rest, links = "/", whole.split("/")[::-1], 0
    yield here, os.lstat(here)
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, name)
        try:
            status = os.lstat(step)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield step, status
        if not stat.S_ISLNK(status.st_mode):
            here = step
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        target = os.readlink(step)
        rest += target.split("/")[::-1]
        here = "/" if target.startswith("/") else here


def _judge(step: str, status: os.stat_result) -> Fault | None:
    if status.st_uid not in (0, os.geteuid()):
        mend = "" if os.geteuid() else f"sudo -u '#{status.st_uid}' strongroom ..."
        return Fault(mend, step, f"belongs to another user (uid {status.st_uid})")
    mode = status.st_mode
    if stat.S_ISLNK(mode) or not mode & (_OTHERS | _GROUP):
        return None
    if mode & _OTHERS:
        mend = "" if mode & stat.S_ISVTX else f"chmod o-w {step}"
        return Fault(mend, step, f"can be written by others (mode {mode & 0o7777:04o})")
    if is_private_group(step, status):
        return None
    return Fault(f"chmod g-w {step}", step, f"can be written by a group (mode {mode & 0o7777:04o})")


def is_private_group(step: str, status: os.stat_result) -> bool:
    """True when the file's group has one member, the user, as where each user has a group and the umask is 002.

    Debian's OpenSSH judges the same way (user-group-modes.patch). Where there is an access control list, the group bits
    are its mask, and say nothing about the group.
    """
    import grp
    import pwd

    try:
        os.getxattr(step, _ACL, follow_symlinks=False)
    except OSError:
        try:
            user = pwd.getpwuid(os.geteuid()).pw_name
            members = set(grp.getgrgid(status.st_gid).gr_mem)
        except KeyError:
            return False
        members |= {entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == status.st_gid}
        return members == {user}
    return False


def _is_out_of_reach(step: str, status: os.stat_result) -> bool:
    if status.st_uid != 0:
        return False
    # What a group can write is out of this user's reach, and not of the group's.
    return stat.S_ISLNK(status.st_mode) or not (
        status.st_mode & (_OTHERS | _GROUP) or os.access(step, os.W_OK, effective_ids=True)
    )

"""Who decides what a path leads to: the judgement on files that were found, and not named by the user.

Each step of the way must belong to root or to the user of this process, and nobody else may be able to write there:
every directory from `/` on, every link, the directories that links lead through, and the file. A sticky directory such
as /tmp does not qualify: nobody can remove our files there, but everybody can add files that are then found.
"""

from __future__ import annotations

import os
import stat

from strongroom.system.ways import Fault, judge, steps


def fault(path: str, beside: str = "") -> Fault | None:
    """Return what lets another user decide what is at `path`, None when nothing does.

    What does not exist is not judged, only the way to it. `beside` is a path that was judged before and was right: of a
    file in the same directory only the file itself is looked at.
    """
    try:
        if beside and os.path.dirname(path) == os.path.dirname(beside):
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                return judge(path, status)
        faults = [found for step, status in steps(path) if (found := judge(step, status))]
    except OSError as error:
        return Fault("", None, path, f"cannot be examined: {error.strerror}")
    if not faults:
        return None
    # All at once: nobody likes to be told of the next directory after each command.
    mend = " && ".join(found.mend for found in faults) if all(found.mend for found in faults) else ""
    return faults[0]._replace(mend=mend)


def is_roots(path: str) -> bool:
    """True for a file that root has put there, and this user could not have.

    Such a file is part of the machine's configuration. For root this says nothing of most places, since root can write
    everywhere, and keeps clones too; what is below /etc counts.
    """
    user = os.geteuid()
    try:
        if user == 0:
            is_below = os.path.abspath(path).startswith("/etc/") and os.path.realpath(path).startswith("/etc/")
            return is_below and all(s.st_uid == 0 for _, s in steps(path))
        return all(_is_out_of_reach(step, status) for step, status in steps(path))
    except OSError:
        return False


def is_strangers(path: str, status: os.stat_result) -> bool:
    """True for a file of another user in a directory where anybody can put one, such as /tmp.

    Everybody can put one there, so it is passed over: an error would let any user stop all others.
    """
    if status.st_uid in (0, os.geteuid()):
        return False
    return bool(os.stat(os.path.dirname(path)).st_mode & stat.S_IWOTH)


def _is_out_of_reach(step: str, status: os.stat_result) -> bool:
    if status.st_uid != 0:
        return False
    # What a group can write is out of this user's reach, and not of the group's.
    return stat.S_ISLNK(status.st_mode) or not (
        status.st_mode & (stat.S_IWOTH | stat.S_IWGRP) or os.access(step, os.W_OK, effective_ids=True)
    )

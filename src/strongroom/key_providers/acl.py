"""Who may read a file: its mode, and where there is an access control list, whose mask the group bits are then."""

from __future__ import annotations

import os
from struct import error, iter_unpack

ATTRIBUTE = "system.posix_acl_access"
_VERSION = b"\x02\0\0\0"
# linux/posix_acl.h and linux/posix_acl_xattr.h: tag, permissions, id of each entry.
_ENTRY = "<HHI"
_OWNER, _USER, _MASK = 0x01, 0x02, 0x10
_READ = 0x4


def is_private(file: int | str, mode: int) -> bool:
    """True when nobody may read or write the file (descriptor or path) but its owner and the user of this process.

    Such are systemd's credentials: root's, mode 0400, with an entry for the user of the service, after which the mode
    reads 0440 (`write_credential` in systemd's src/core/exec-credential.c).
    """
    return not mode & 0o077 or (not mode & 0o037 and _grants_this_user_only(file))


def _grants_this_user_only(file: int | str) -> bool:
    try:
        stored = os.getxattr(file, ATTRIBUTE)
        entries = list(iter_unpack(_ENTRY, stored.removeprefix(_VERSION)))
    except (OSError, error):
        return False
    return bool(entries) and all(_harmless(*entry) for entry in entries)


def _harmless(tag: int, permissions: int, who: int) -> bool:
    if tag in (_OWNER, _MASK):
        return True
    return not permissions or (tag == _USER and who == os.geteuid() and permissions == _READ)

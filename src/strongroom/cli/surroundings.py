"""What `doctor` looks at around the store: files, directories, disk, git, the system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from strongroom import drivers
from strongroom.cli import git, judging, process
from strongroom.cli.judging import FAIL, OK, WARN, Finding
from strongroom.cli.memory_file import file_system_of
from strongroom.key_providers import acl
from strongroom.settings.config import Config, path_of
from strongroom.system import ways

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "virtiofs")
LOW, NEARLY_FULL = 100 * 2**20, 5 * 2**20


def check_files(config: Config) -> Iterator[Finding]:
    """Check who else can read or write the store, the key and the audit log."""
    store, log = path_of(config.store), path_of(config.audit)
    key = path_of(config.key)
    for what, path, secret in (("store", store, False), ("audit log", log, False), ("master key", key, True)):
        if path is not None and os.path.exists(path):
            yield _check_file(what, path, secret=secret)
            yield from judging.check_way(what, path)
    if store is not None and os.path.exists(store):
        yield _check_writable(store)
    if key is not None and os.path.exists(key):
        yield _check_git(key)
        if store is not None and os.path.dirname(os.path.abspath(key)) == os.path.dirname(os.path.abspath(store)):
            yield Finding(
                WARN, f"the master key {key} is beside the store: who copies the directory has both",
                "fine on a developer's machine; in production keep it elsewhere and name it with --key",
            )  # fmt: skip


def _check_file(what: str, path: str, *, secret: bool) -> Finding:
    found = os.stat(path)
    mode = stat.S_IMODE(found.st_mode)
    shown = f"the {what} {path} (mode {mode:04o})"
    shared = mode & 0o077
    if secret and shared and acl.is_private(path, mode):
        return Finding(OK, f"{shown} can be read by its owner and this user only")
    if not secret and mode & 0o022 == 0o020:
        if ways.is_private_group(path, found):
            return Finding(OK, f"{shown} can be written by its owner only, who is alone in its group")
        advice = f"check that this is intended; else: chmod 600 {path}"
        return Finding(WARN, f"{shown} can be written by the group {_group(found.st_gid)}", advice)
    if mode & 0o022 or (secret and shared):
        can = "written" if mode & 0o022 else "read"
        return Finding(FAIL, f"{shown} can be {can} by others", f"chmod 600 {path}")
    if found.st_uid not in (0, os.geteuid()):
        return Finding(WARN, f"{shown} belongs to uid {found.st_uid}", "check that this is intended")
    if mode & 0o044:
        return Finding(WARN, f"{shown} can be read by others", f"chmod 600 {path}, unless that is meant")
    return Finding(OK, f"{shown} can be read by its owner only")


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _check_writable(store: str) -> Finding:
    """Each write makes or renames files beside the store, where a link to it leads."""
    store = os.path.realpath(store)
    closed = [p for p in (os.path.dirname(store), store) if not os.access(p, os.W_OK, effective_ids=True)]
    if not closed:
        return Finding(OK, "this user can write to the store and to its directory")
    return Finding(
        WARN, f"this user cannot write to {' and '.join(closed)}, so no secret can be changed",
        "fine for a service that only reads; else run as the owner of the store, or change owner or mode",
    )  # fmt: skip


def _check_git(key: str) -> Finding:
    if git.work_tree(os.path.dirname(os.path.abspath(key))) is None:
        return Finding(OK, f"the master key {key} is in no git work tree")
    if git.ignores(key):
        return Finding(OK, f"the master key {key} is in .gitignore")
    return Finding(
        WARN, f"the master key {key} could be committed to git", f"add {os.path.basename(key)} to .gitignore"
    )


def check_machine(config: Config) -> Iterator[Finding]:
    """Check the disk and the process limits."""
    store = path_of(config.store)
    directory = os.path.dirname(os.path.abspath(store)) if store is not None else "."
    if store is not None and os.path.isdir(directory):
        yield _check_space(directory)
        yield _check_file_system(config.store, directory)
    soft = process.core_limit()
    if soft == 0:
        yield Finding(OK, "core dumps are off")
    else:
        yield Finding(
            WARN, "core dumps are on in this shell (strongroom switches its own off)",
            "switch them off for services that hold secrets: `ulimit -c 0`, or LimitCORE=0 in systemd",
        )  # fmt: skip


def _check_space(directory: str) -> Finding:
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    state = FAIL if free < NEARLY_FULL else WARN if free < LOW else OK
    return Finding(
        state, f"{free // 2**20:,} MiB are free on the disk of the store", "" if state == OK else "free some"
    )


def _check_file_system(url: str, directory: str) -> Finding:
    kind = file_system_of(directory) or "unknown"
    if kind in NETWORK and drivers.traits(url).needs_local_disk:
        return Finding(
            WARN, f"the store is on a network file system ({kind})",
            "SQLite's locks are not safe there: move the store to a local disk",
        )  # fmt: skip
    return Finding(OK, f"the store is on a file system of the kind {kind}")

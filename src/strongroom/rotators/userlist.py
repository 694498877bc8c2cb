"""pgbouncer's `userlist.txt`: one line `"user" "password"` for each user, rewritten without losing anything else.

A password stands there in the clear, as MD5, or as the verifier that the server keeps of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.errors import SourceRefusedError
from strongroom.system.files import open_file, owners_beside, sync_directory, write_all

LARGEST = 16 * 1024 * 1024
_LINE = re.compile(
    rb'^[ \t]*"(?P<user>(?:[^"\r\n]|"")*)"[ \t]+"(?P<password>(?:[^"\r\n]|"")*)"(?P<rest>[^\r\n]*)', re.MULTILINE
)


class UserList:
    """The file at a path. Methods raise `SourceRefusedError`, and then the file is as it was."""

    def __init__(self, path: str) -> None:
        self.path = path

    def password(self, user: str) -> str | None:
        """Return what stands for a user, None when there is no line."""
        with self._locked() as (_, content):
            return _password(content, user)

    def check(self) -> None:
        """Raise unless the file could be replaced with its owner and mode kept."""
        with self._locked() as (real, content):
            os.unlink(_draft(real, content))

    def put(self, user: str, password: str | None) -> str | None:
        """Give the user another password, or no line at all with None; return the one before."""
        with self._locked() as (real, content):
            before, changed = _password(content, user), _changed(content, user, password)
            if changed != content:
                draft = _draft(real, changed)
                try:
                    os.replace(draft, real)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(draft)
                    raise
                sync_directory(real)
            return before

    @contextmanager
    def _locked(self) -> Iterator[tuple[str, bytes]]:
        """Give the real path and the content, while no other rotation changes the file."""
        real = os.path.realpath(self.path)
        try:
            directory = os.open(os.path.dirname(real), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(directory, fcntl.LOCK_EX)
                with open(open_file(real, owners=owners_beside(real), largest=LARGEST), "rb") as file:
                    content = file.read()
                yield real, content
            finally:
                os.close(directory)
        except OSError as error:
            raise SourceRefusedError(f"pgbouncer's list {self.path}: {_why(error)}") from None


def kind(password: str | None) -> str:
    """Return in which form a password stands in the list: `none`, `scram`, `md5` or `plain`."""
    if password is None:
        return "none"
    if password.startswith("SCRAM-SHA-256$"):
        return "scram"
    return "md5" if re.fullmatch(r"md5[0-9a-f]{32}", password) else "plain"


def _quoted(text: str) -> bytes:
    return b'"' + os.fsencode(text).replace(b'"', b'""') + b'"'


def _password(content: bytes, user: str) -> str | None:
    found = [line for line in _LINE.finditer(content) if line["user"] == _quoted(user)[1:-1]]
    return os.fsdecode(found[0]["password"].replace(b'""', b'"')) if found else None


def _changed(content: bytes, user: str, password: str | None) -> bytes:
    line = b"" if password is None else _quoted(user) + b" " + _quoted(password)
    hit = False

    def other(match: re.Match[bytes]) -> bytes:
        nonlocal hit
        if match["user"] != _quoted(user)[1:-1]:
            return match[0]
        hit = True
        return line + match["rest"] if line else b""

    changed = _LINE.sub(other, content)
    if hit or not line:
        return changed
    return content + (b"" if not content or content.endswith(b"\n") else b"\n") + line + b"\n"


def _draft(real: str, content: bytes) -> str:
    """Write the content beside the file, with its owner, mode and attributes; return the path."""
    directory, name = os.path.split(real)
    for entry in os.listdir(directory):
        # What a process left that was killed: the lock is ours.
        if re.fullmatch(rf"{re.escape(name)}\.[0-9a-f]{{16}}\.new", entry):
            os.unlink(os.path.join(directory, entry))
    draft = f"{real}.{os.urandom(8).hex()}.new"
    like = os.stat(real)
    made = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if (like.st_uid, like.st_gid) != (os.fstat(made).st_uid, os.fstat(made).st_gid):
            os.fchown(made, like.st_uid, like.st_gid)
        os.fchmod(made, like.st_mode & 0o7777)
        for attribute in os.listxattr(real):
            with suppress(OSError):  # the label of SELinux is given by the directory
                os.setxattr(made, attribute, os.getxattr(real, attribute))
        write_all(made, content)
        os.fsync(made)
    except BaseException:
        os.unlink(draft)
        raise
    finally:
        os.close(made)
    return draft


def _why(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM) and error.strerror == os.strerror(error.errno or 0):
        return (
            "it cannot be read, or replaced with its owner and mode kept: run strongroom as root, or as the owner of "
            "the file and its directory"
        )
    if error.errno == errno.ENOENT:
        return "there is no such file"
    if error.errno == errno.EBUSY:
        return "the file is a separate mount, which cannot be replaced: mount its directory"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "its disk is full"
    return error.strerror or type(error).__name__

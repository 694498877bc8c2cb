"""`file:PATH`: the master key is a Fernet key in a file that only its owner can read."""

from __future__ import annotations

import errno
import os
import stat

from strongroom.crypto.master_key import parse_key
from strongroom.errors import ConfigError, InvalidKeyError, KeyProviderError, NoKeyError
from strongroom.key_providers import master
from strongroom.system import files
from strongroom.system.frames import methods_leave_no_values

_TOO_LONG = 4096
_FOR_NOW = frozenset(
    (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EINTR)
)
"""What says nothing of the file: a disk or a server that does not answer, no descriptor left."""


@methods_leave_no_values
class FileKeyProvider:
    """Reads the file each time it is asked, and keeps no copy of the master key."""

    def __init__(self, path: str) -> None:
        if not path or not path.isprintable():
            raise ConfigError("the key provider `file:` needs the path of a file, such as file:master.key")
        # Absolute, because the file is read again later, when a service may have changed its directory.
        self.path = os.path.abspath(path)
        self.url = f"file:{path}"

    def __repr__(self) -> str:
        return f"FileKeyProvider({self.path})"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`."""
        return master.wrap(self._master(), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`."""
        return master.unwrap(self._master(), wrapped, context, self.url)

    def _master(self) -> bytes:
        text = read_private(self.path)
        try:
            return parse_key(text)
        except ValueError as error:
            problem = str(error)
        raise InvalidKeyError(f"{self.path} does not hold a Fernet key: {problem}. Make one with `strongroom keygen`")


def read_private(path: str) -> bytes:
    """Return the contents of a small file that nobody but its owner, root or the user of this process may read.

    Raises `NoKeyError` when it is not there or may not be read, `KeyProviderError` when the system cannot read it now,
    `InvalidKeyError` when it is open to others or not a
    small file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoKeyError(f"no master key: there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        _check(path, descriptor)
        return os.read(descriptor, _TOO_LONG)
    except (OSError, ImportError) as error:
        # Without a free descriptor, a module cannot be loaded either.
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


def _unreadable(path: str, error: Exception) -> NoKeyError | KeyProviderError:
    why = getattr(error, "strerror", None) or error
    if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno in _FOR_NOW):
        return KeyProviderError(f"{path} cannot be read now: {why}; try again")
    return NoKeyError(f"no master key: {path} cannot be read: {why}")


def _check(path: str, descriptor: int) -> None:
    """Raise `InvalidKeyError` for a file that cannot hold a secret."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidKeyError(f"{path} is not a regular file, so it is not taken as a master key")
    if status.st_mode & 0o077 and not _is_private(descriptor, status.st_mode):
        raise InvalidKeyError(
            f"{path} can be read or written by others (mode {status.st_mode & 0o777:04o}); "
            f"run `chmod 600 {path}`, and make a new key if others may have read it"
        )
    if status.st_uid not in (0, os.geteuid()):
        mend = f"run this as that user: `{files.run_as(status.st_uid)} …`, or `chown root {path}`"
        if os.geteuid() != 0:
            mend = "use a key of your own"
        raise InvalidKeyError(
            f"{path} belongs to another user (uid {status.st_uid}), so it is not taken as a key; {mend}"
        )
    if not status.st_size:
        # Files of /proc say so too, whatever they hold, and everybody knows what that is.
        raise InvalidKeyError(f"{path} has 0 bytes, so it is not taken as a key: it is empty, or a file of /proc")
    if status.st_size > _TOO_LONG:
        raise InvalidKeyError(f"{path} has {status.st_size} bytes; that is not a key")


def _is_private(descriptor: int, mode: int) -> bool:
    from strongroom.key_providers import acl

    return acl.is_private(descriptor, mode)


def create(path: str, text: str) -> None:
    """Write a new file of mode 0600, durably; raises `InvalidKeyError` when there is one already.

    It appears with the key in it or not at all: an empty file, left by a process that died, would be refused as a key
    and never overwritten, so that `init` could not be run again.
    """
    try:
        files.make_new(path, lambda draft: _write(draft, text.encode() + b"\n"))
    except FileExistsError:
        raise InvalidKeyError(f"{path} exists already; a master key is never overwritten") from None
    except OSError as error:
        raise InvalidKeyError(f"{path} cannot be written: {error.strerror}") from None


def _write(draft: str, content: bytes) -> None:
    with open(draft, "wb") as file:
        file.write(content)
        file.flush()
        files.mark(file.fileno())
        os.fsync(file.fileno())


def connect(rest: str) -> FileKeyProvider:
    """Return the provider for `file:rest`."""
    return FileKeyProvider(rest)

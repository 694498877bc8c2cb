"""A git repository that nobody needs to trust: git reads its objects and never its settings.

A repository's settings name programs (`gpg.program`, `core.fsmonitor`, `remote.*.uploadpack`, filters, pagers), and git
runs them, some even to list files. Switching off each of them would leave the next one. So git works on a private
repository that holds settings of ours alone and borrows the object directory of the other one. Of that one, only data
is read: objects by git; HEAD, references, the index and the list of shallow commits by us.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.scan.locating import Located, locate
from strongroom.system.files import ANYBODY, open_file

_SETTINGS = """\
[core]
	repositoryFormatVersion = 1
	bare = true
	commitGraph = false
	multiPackIndex = false
	useReplaceRefs = false
	fsmonitor = false
	hooksPath = /dev/null
[protocol]
	allow = never
[extensions]
"""
# A commit graph, a multi-pack index or a replacement could hide objects: nothing but the objects says what they are.
_FORMATS = {"": "sha1", "sha1": "sha1", "sha256": "sha256"}
LONG_LIST = 128 << 20
"""Bytes of a list of references or commits: a million of them have some 60 MiB."""
_HEX = frozenset(b"0123456789abcdef")


class Repository:
    """A private repository with the objects of another one."""

    def __init__(self, directory: str, source: Located) -> None:
        self.directory, self.source = directory, source
        self._program = _program()
        self._environment = {
            # Nothing is inherited: no key, and no GIT_… variable.
            "PATH": os.defpath,
            "HOME": directory,
            "LC_ALL": "C",
            "GIT_DIR": directory,
            "GIT_INDEX_FILE": self.path("index"),
            "GIT_OBJECT_DIRECTORY": source.objects,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": source.more_objects,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }
        if "LD_LIBRARY_PATH" in os.environ:
            self._environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        os.mkdir(self.path("refs"))
        self.write("HEAD", b"ref: refs/heads/none\n")
        self.write("config", _SETTINGS.encode())
        config = read(os.path.join(source.common, "config")) or b""
        self.object_format = _FORMATS.get(self._setting(config, "extensions.objectFormat"), "")
        self.reftable = self._setting(config, "extensions.refStorage") == "reftable"
        if not self.object_format:
            raise InvalidInputError(f"{source.git} names its objects in a way that this strongroom does not know")
        extensions = f"\tobjectFormat = {self.object_format}\n" if self.object_format != "sha1" else ""
        extensions += "\trefStorage = reftable\n" if self.reftable else ""
        self.write("config", (_SETTINGS + extensions).encode())
        self._write_shallow()

    def path(self, *names: str) -> str:
        """Return the path of a file of the private repository."""
        return os.path.join(self.directory, *names)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the private repository."""
        with open(self.path(name), "wb") as file:
            file.write(content)

    def git(self, *words: str, stdin: IO[bytes] | None = None, content: bytes | None = None) -> bytes | None:
        """Run git on `content` or the file `stdin`, and return its output, None when it fails."""
        with self.start(*words, stdin=subprocess.PIPE if content is not None else stdin) as running:
            output, _ = running.communicate(content)
        return output if running.returncode == 0 else None

    def start(self, *words: str, stdin: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
        """Start git, to read its output while it runs."""
        return subprocess.Popen(  # noqa: S603
            [self._program, *words], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=self._environment, cwd=self.directory,
        )  # fmt: skip

    def _setting(self, config: bytes, name: str) -> str:
        """Return a setting of a file that git is shown as text; what it includes is not read."""
        found = self.git("config", "--file", "-", "--no-includes", "--get", name, content=config)
        return (found or b"").decode(errors="replace").strip().lower()

    def _write_shallow(self) -> None:
        """List the commits whose parents are left out on purpose."""
        lines = (read(os.path.join(self.source.common, "shallow"), LONG_LIST) or b"").splitlines()
        if shallow := [line for line in lines if line and _HEX.issuperset(line)]:
            self.write("shallow", b"\n".join([*shallow, b""]))


@contextmanager
def private(path: str) -> Iterator[Repository]:
    """Yield a private repository with the objects of the one that holds the directory `path`.

    Raises `InvalidInputError` when there is no repository, none that can be read safely, or no git.
    """
    source = locate(path)
    try:
        made = tempfile.TemporaryDirectory(prefix="strongroom-")
    except OSError as error:
        raise StrongroomError(f"no temporary directory can be made ({error.strerror}); set TMPDIR") from None
    with made as directory:
        yield Repository(directory, source)


def read(path: str, largest: int = 1 << 20) -> bytes | None:
    """Return the contents of a regular file of at most `largest` bytes, None when there is none.

    Raises `InvalidInputError`.
    """
    try:
        with open(open_file(path, owners=ANYBODY, largest=largest, follow=True), "rb") as file:
            return file.read(largest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from None


def _program() -> str:
    """Return git's path; never that of a program in the working directory, which a relative PATH would lead to."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, "git")
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise InvalidInputError("there is no program git here")

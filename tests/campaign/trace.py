"""The system calls of a process that change files, with their data, in their order: recorded by strace."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

CHANGES = (
    "open", "openat", "creat", "close", "write", "pwrite64", "writev", "pwritev", "pwritev2", "lseek", "rename",
    "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "symlink",
    "symlinkat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "dup", "dup2", "dup3",
    "fcntl", "mmap", "msync", "chmod", "fchmod", "fchmodat", "copy_file_range", "sendfile",
)  # fmt: skip


class Call(NamedTuple):
    """A system call that succeeded."""

    name: str
    arguments: list[str]
    result: int

    def text(self, number: int) -> bytes:
        """Return the bytes of an argument that is a string."""
        return decode(self.arguments[number])

    def strings(self, number: int) -> list[bytes]:
        """Return the strings of an argument that holds several."""
        return [decode(f'"{text}"') for text in re.findall(r'"([^"]*)"', self.arguments[number])]

    def number(self, number: int) -> int:
        """Return an argument that is a number, or a descriptor."""
        return int(re.match(r"-?\d+", self.arguments[number])[0])

    def path(self, number: int) -> str:
        """Return the path behind a descriptor that is an argument."""
        found = re.search(r"<(.*)>", self.arguments[number])
        return os.fsdecode(decode(found[1])) if found else ""


def decode(text: str) -> bytes:
    found = re.search(r'"([^"]*)"', text)
    return bytes.fromhex((found[1] if found else text).replace("\\x", ""))


def arguments(text: str) -> list[str]:
    """Split the arguments of a call at the commas that are not inside brackets; strings are in hexadecimal."""
    found, depth, begin = [], 0, 0
    for match in re.finditer(r"[][{}(),]", text):
        if match[0] == "," and depth == 0:
            found.append(text[begin : match.start()].strip())
            begin = match.end()
        elif match[0] != ",":
            depth += 1 if match[0] in "[{(" else -1
    return [*found, text[begin:].strip()]


_WHOLE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(?: |<|$)", re.DOTALL)


def calls(lines: Iterator[str]) -> Iterator[Call]:
    """Return the calls of strace's output that succeeded, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, text = line.rstrip("\n").partition(" ")
        text = text.lstrip()
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text, re.DOTALL):
            text = begun.pop(thread) + resumed[1]
        if match := _WHOLE.match(text):
            result = int(match[3], 0)
            if result >= 0:
                yield Call(match[1], arguments(match[2]), result)


def record(command: list[str], environ: Mapping[str, str], cwd: Path) -> list[Call]:
    """Run a program, which must succeed, and return the calls that it made."""
    with tempfile.NamedTemporaryFile("r", prefix="strongroom-trace-", errors="replace") as output:
        done = subprocess.run(
            ["strace", "-f", "-y", "-xx", "-s", "10000000", "-o", output.name, "--seccomp-bpf",
             f"--trace={','.join(f'?{name}' for name in CHANGES)}", *command],
            env=dict(environ), cwd=cwd, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return list(calls(output))


@functools.cache
def why_not() -> str:
    """Say what keeps strace from tracing a program here; empty when nothing does."""
    if not shutil.which("strace"):
        return "strace is not here: install the Debian package strace"
    try:
        done = record([sys.executable, "-S", "-c", "import os; os.write(1, b'here')"], os.environ, Path("/"))
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return f"strace does not work here: {str(error).strip().splitlines()[-1]}"
    return "" if any(call.name == "write" and call.text(1) == b"here" for call in done) else "strace shows no calls"

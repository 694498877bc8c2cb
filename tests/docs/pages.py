"""Reads the code blocks of a page, and follows them as a reader would, in one directory from top to bottom.

What a block needs besides what is above it is said in comments before its fence, invisible once rendered:

    <!-- empty directory -->   go to an empty directory first
    <!-- fresh store -->       go to an empty directory first, and make a store there
    <!-- given: app.py -->     such a file is there already; it is one of `GIVEN`
    <!-- typed: yes, word -->  at a terminal, where this is typed at its prompts
    <!-- file: app.py -->      the block is a file to save, not to run
    <!-- server: postgresql -->  a real one stands where the block names db.example
    <!-- skip: reason -->      not for a test

A `text` block is what the shell block before it prints on standard output. In Python, what stands after `print(…)  #`
is what that call prints.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import strongroom
from strongroom.key_providers.file import create

from . import terminal
from .servers import Servers

ROOT = Path(__file__).parents[2]
GIVEN = {
    ".env": "SMTP_PASSWORD=from-dotenv\nAPI_TOKEN='two words'\n",
    "app.py": "import os\nprint('it was given', os.environ['POSTGRES_PASSWORD'])\n",
}
PORT = "8731"
"""The port of a page's service, which somebody else may have on this machine: a reader takes another."""
MARKS = {"empty directory", "fresh store", "given", "typed", "file", "server", "skip"}
_block = re.compile(r"((?:^ *<!-- .*? -->\n)*)^( *)```(\w+)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)
_mark = re.compile("<!-- ([a-z ]+?)(?:: (.*?))? -->")
ALL = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


class Block(NamedTuple):
    place: str
    marks: dict[str, str]
    language: str
    code: str


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of every table of a page."""
    lines = [line.strip("| ") for line in text(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def blocks(page: str) -> Iterator[Block]:
    whole = text(page)
    for found in _block.finditer(whole):
        marks = dict(_mark.findall(found[1]))
        yield Block(f"{page}:{whole.count(chr(10), 0, found.start(4)) + 1}", marks, found[3], dedent(found[4]))


class Reader:
    """Somebody who follows a page, in directories below `scratch`."""

    def __init__(self, scratch: Path, environ: dict[str, str], servers: Servers | None = None) -> None:
        self._scratch = scratch
        self._servers = servers
        self._environ = environ
        self._names: dict[str, object] = {}
        self._port = _free_port()
        self._go_to_an_empty_directory()

    def follow(self, block: Block) -> str:
        """Do what the block says, and return what it prints."""
        block = block._replace(code=block.code.replace(PORT, self._port))
        if "server" in block.marks:
            assert self._servers is not None
            block = block._replace(code=self._servers.put_in(block.code, block.marks["server"]))
        self._prepare(block)
        if "file" in block.marks:
            Path(block.marks["file"]).write_text(block.code, encoding="utf-8")
            return ""
        return self._run_python(block) if block.language == "python" else self._run_shell(block)

    def _prepare(self, block: Block) -> None:
        assert set(block.marks) <= MARKS, block.place
        if block.marks.keys() & {"fresh store", "empty directory"}:
            self._go_to_an_empty_directory()
        if "fresh store" in block.marks:
            create("master.key", strongroom.generate_master_key())
            strongroom.init().close()
        if "given" in block.marks:
            Path(block.marks["given"]).write_text(GIVEN[block.marks["given"]], encoding="utf-8")

    def _go_to_an_empty_directory(self) -> None:
        directory = self._scratch / f"directory-{len(list(self._scratch.iterdir()))}"
        directory.mkdir()
        os.chdir(directory)
        self._names = {"__name__": "__main__"}

    def _run_python(self, block: Block) -> str:
        path, line = block.place.split(":")
        with redirect_stdout(StringIO()) as out:
            exec(compile("\n" * (int(line) - 1) + block.code, path, "exec"), self._names)
        return out.getvalue()

    def _run_shell(self, block: Block) -> str:
        command = ["bash", "-euo", "pipefail", "-c", block.code]
        if "typed" in block.marks:
            code, shown = terminal.run(command, self._environ, block.marks["typed"].split(", "))
            out = shown
        else:
            done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=60)
            code, out, shown = done.returncode, done.stdout, done.stdout + done.stderr
        assert code == 0, f"{block.place}: {shown}"
        return out


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def promised(block: Block) -> list[str] | None:
    """Return the lines that a Python block says that it prints, None when it says nothing."""
    lines = [line.partition("  # ")[2].strip() for line in block.code.splitlines() if "print(" in line]
    return lines if any(lines) else None

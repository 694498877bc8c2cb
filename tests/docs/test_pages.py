"""The code of the pages runs, word for word, and prints what the page says."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator

import pytest

from strongroom import fallback

from .pages import PORT, Block, Reader, blocks, promised, text
from .servers import Servers

pytestmark = pytest.mark.own_directory

SKIPPED = {
    "README.md": ("pip install", "make demo"),
    "docs/quickstart.md": ("python3 -m venv", "mkdir ~/first-steps"),
    "docs/production.md": (),
    "docs/rotation.md": (),
    "docs/rotators.md": (),
    "docs/drivers.md": (),
}
"""Shell blocks that a test does not run begin so."""


@pytest.fixture
def reader(request, tmp_path, monkeypatch) -> Iterator[Reader]:
    if "rotators.md" in request.node.name or "rotation.md" in request.node.name:
        tmp_path = request.getfixturevalue("safe_directory")  # its program is not run from below /tmp
    for name in [name for name in os.environ if name.startswith(("STRONGROOM_", "SECRETS_MASTER_KEY"))]:
        monkeypatch.delenv(name)
    # What the first step of the quick start makes.
    programs = tmp_path / "home" / ".strongroom" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("strongroom", "-m strongroom "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (programs / name).chmod(0o755)
    environ = {"HOME": str(tmp_path / "home"), "PATH": f"{programs}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.chdir(scratch)
    fallback.reset()
    servers = Servers(tmp_path)
    yield Reader(scratch, environ, servers)
    servers.stop()
    fallback.reset()


def is_run(block: Block, page: str) -> bool:
    if "skip" in block.marks:
        return False
    if block.language == "python" or "file" in block.marks:
        return True
    return block.language == "sh" and page in SKIPPED and not block.code.startswith(SKIPPED[page])


@pytest.mark.parametrize("page", [*SKIPPED, "docs/concepts.md"])
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page, reader):
    if page == "docs/quickstart.md" and shutil.which("curl") is None:
        pytest.skip("the quick start asks its service with curl")
    printed = None
    for block in blocks(page):
        if block.language == "text":
            assert printed in (None, block.code), f"{block.place}: this is not what the block before it prints"
        printed = None
        if is_run(block, page):
            out = reader.follow(block)
            expected = promised(block) if block.language == "python" and "file" not in block.marks else None
            assert expected in (None, out.splitlines()), f"{block.place}: printed {out!r}"
            printed = out if block.language == "sh" else None


@pytest.mark.parametrize(("page", "start"), [(page, start) for page in SKIPPED for start in SKIPPED[page]])
def test_every_block_that_is_skipped_is_there(page, start):
    assert any(block.code.startswith(start) for block in blocks(page))


def test_a_service_of_a_page_gets_a_port_that_is_free(reader):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = reader.follow(Block("page:7", {}, "sh", f"echo {PORT}\n")).strip()
        assert other not in (PORT, str(taken.getsockname()[1]))
    assert PORT in text("docs/quickstart.md")


def test_a_fault_in_a_block_is_noticed(reader):
    with pytest.raises(AssertionError, match="page:7"):
        reader.follow(Block("page:7", {}, "sh", "false; true\n"))
    with pytest.raises(AssertionError, match="page:7"):
        reader.follow(Block("page:7", {"typed": "x"}, "sh", "false\n"))
    with pytest.raises(NameError):
        reader.follow(Block("page:7", {}, "python", "missing\n"))


def test_what_a_block_promises_to_print_is_read_from_its_comments():
    assert promised(Block("", {}, "python", "print(1)    # 1\nprint(2)  # two\n")) == ["1", "two"]
    assert promised(Block("", {}, "python", "print(1)\n")) is None

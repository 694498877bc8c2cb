"""The model of a disk loses what a real one may lose, and nothing else."""

from __future__ import annotations

import os
import random
import sys

import pytest

from . import trace
from .disk import PAGE, STATES, File
from .replay import Disk

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

WRITE = "f = os.open('draft', os.O_CREAT | os.O_WRONLY, 0o600); os.write(f, b'whole')"
SYNC_FILE = "os.fsync(f)"
RENAME = "os.rename('draft', 'file')"
SYNC_DIRECTORY = "d = os.open('.', os.O_RDONLY); os.fsync(d)"


@pytest.fixture
def left(tmp_path):
    """Run a program; return a function of a way to crash, for what a crash at the end leaves of `file`."""

    def run(*lines: str):
        root = tmp_path / "root"
        root.mkdir()
        calls = trace.record([sys.executable, "-S", "-c", "; ".join(("import os", *lines))], os.environ, root)

        def left(how: str, seed: int = 0) -> bytes | None:
            disk, target = Disk(root), tmp_path / f"{how}-{seed}"
            for call in calls:
                disk.play(call)
            disk.check()
            target.mkdir()
            disk.crash(target, random.Random(seed), how)
            return (target / "file").read_bytes() if (target / "file").exists() else None

        return left

    return run


def test_what_was_synced_in_its_directory_too_survives(left):
    crash = left(WRITE, SYNC_FILE, RENAME, SYNC_DIRECTORY)
    assert {crash(how, seed) for how in STATES for seed in range(5)} == {b"whole"}


def test_a_file_that_was_not_synced_can_be_empty_or_zeros_or_a_part(left):
    crash = left(WRITE, RENAME, SYNC_DIRECTORY)
    assert {crash("mix", seed) for seed in range(30)} == {b"", b"\0" * 5, b"whole"}


def test_a_name_that_was_not_synced_can_be_gone(left):
    crash = left(WRITE, SYNC_FILE, RENAME)
    assert {crash("mix", seed) for seed in range(30)} == {None, b"whole"}
    assert crash("least") is None


def test_names_of_directories_links_and_descriptors_are_followed(left):
    crash = left(
        "os.makedirs('a/b')", "os.symlink('a', 'c')", "b = os.open('c/b', os.O_RDONLY)",
        "f = os.open('new', os.O_CREAT | os.O_RDWR, 0o600, dir_fd=b)", "os.dup2(f, 40)", "os.writev(40, [b'wh', b'o'])",
        "os.pwrite(f, b'le', 3)", "os.truncate(f, 9)", "os.link('c/b/new', 'file')", "os.unlink('a/b/new')",
        "os.rename('c', 'd', src_dir_fd=None)", "os.rmdir('a/b')",
    )  # fmt: skip
    assert crash("all") == b"whole" + b"\0" * 4


def test_pages_of_a_file_survive_each_by_itself():
    file = File()
    file.write(0, b"a" * PAGE)
    file.sync()
    file.write(PAGE - 10, b"b" * PAGE)
    left = {file.after_crash(random.Random(seed), "mix") for seed in range(100)}
    assert b"a" * PAGE in left
    assert b"a" * (PAGE - 10) + b"b" * PAGE in left
    assert b"a" * PAGE + b"b" * (PAGE - 10) in left, "the second page without the first"
    assert all(content.startswith(b"a" * (PAGE - 10)) for content in left), "what was synced stays"

"""Full disks: of the store, of the audit log; real ones on a small tmpfs, and simulated ones everywhere."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

import strongroom
from strongroom.audit_sinks import file as audit_file
from strongroom.errors import AuditError, StoreError
from strongroom.stores import placing
from strongroom.system import files

from . import KINDS

SMALL = "256k"
VALUE = "x" * 3_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "tmpfs", directory], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine does not let root mount: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> Path:
    """Use up the disk of `directory`; removing the returned file frees it."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for block in (4096, 64, 1):
            try:
                while True:
                    file.write(b"\0" * block)
            except OSError:
                pass
    return ballast


def values(secrets: strongroom.SecretsManager) -> dict[str, object]:
    return {name: secrets.get_secret(name) for name in secrets.list_secrets()}


@pytest.fixture(params=KINDS)
def kind(request, master_key):
    return request.param


def test_a_set_on_a_full_disk_changes_nothing_and_works_once_there_is_room(kind, small_disk, tmp_path):
    url, audit = f"{kind}:{small_disk}/store", f"file:{tmp_path}/audit.log"
    with strongroom.init(url, audit=audit) as secrets:
        secrets.set_secret("before", "kept")
        ballast = fill(small_disk)
        done = {"before": "kept"}
        with pytest.raises(StoreError, match=r"full disk|disk is full"):
            set_until_full(secrets, done)
        assert values(secrets) == done
        for call in (
            lambda: secrets.set_secret("before", 20 * VALUE),
            lambda: secrets.rotate_secret("before", 20 * VALUE),
            lambda: secrets.set_secrets({"before": 10 * VALUE, "another": 10 * VALUE}),
        ):
            with pytest.raises(StoreError, match=r"full disk|disk is full"):
                call()
            assert values(secrets) == done
        ballast.unlink()
        secrets.set_secret("after", "works")
    with strongroom.open(url, audit=audit) as secrets:
        assert values(secrets) == done | {"after": "works"}
        assert secrets.verify().problems == ()
        assert secrets.verify_audit().problems == ()


def set_until_full(secrets: strongroom.SecretsManager, done: dict[str, object]) -> None:
    # SQLite may still find room in a page or in its journal, but not for ever.
    for number in range(200):
        secrets.set_secret(f"n{number}", VALUE)
        done[f"n{number}"] = VALUE


def test_a_store_on_a_full_disk_can_be_opened_or_says_why_not(kind, small_disk, tmp_path):
    url, audit = f"{kind}:{small_disk}/store", f"file:{tmp_path}/audit.log"
    with strongroom.init(url, audit=audit) as secrets:
        secrets.set_secret("before", "kept")
    ballast = fill(small_disk)
    if kind == "sqlite":
        # It needs a page of memory that is shared through a file beside the database.
        with pytest.raises(StoreError, match="disk is probably full"):
            strongroom.open(url, audit=audit)
        ballast.unlink()
    with strongroom.open(url, audit=audit) as secrets:
        assert secrets.get_secret("before") == "kept"
        assert secrets.get_secret("missing") is None
        assert secrets.verify().problems == ()


def test_a_full_audit_disk_lets_nothing_out_and_nothing_in(kind, small_disk, tmp_path):
    url, audit = f"{kind}:{tmp_path}/store", f"file:{small_disk}/audit.log"
    with strongroom.init(url, audit=audit) as secrets:
        secrets.set_secret("before", "kept")
        ballast = fill(small_disk)
        # The rest of the log's last page still has room.
        with pytest.raises(AuditError, match="ENOSPC"):
            list_until_full(secrets)
        revision = secrets._access.engine.store.revision()
        for call in (
            lambda: secrets.get_secret("before"),
            lambda: secrets.get_secret("missing"),
            lambda: secrets.set_secret("before", "lost"),
            lambda: secrets.delete_secret("before"),
            lambda: secrets.destroy_secret("before"),
            secrets.list_secrets,
            secrets.custody.rekey_data,
        ):
            with pytest.raises(AuditError, match="free some space"):
                call()
        assert secrets._access.engine.store.revision() == revision
        ballast.unlink()
        assert values(secrets) == {"before": "kept"}
        secrets.set_secret("after", "works")
        assert secrets.verify_audit().problems == ()
    with strongroom.open(url, audit=audit) as secrets:
        assert values(secrets) == {"before": "kept", "after": "works"}
        assert secrets.verify_audit().problems == ()


def list_until_full(secrets: strongroom.SecretsManager) -> None:
    for _ in range(20):
        secrets.list_secrets()


def test_opening_with_a_full_audit_disk_answers_nothing(kind, small_disk, tmp_path):
    url = f"{kind}:{tmp_path}/store"
    with strongroom.init(url, audit=f"file:{tmp_path}/audit.log") as secrets:
        secrets.set_secret("before", "kept")
    fill(small_disk)
    with pytest.raises(AuditError), strongroom.open(url, audit=f"file:{small_disk}/audit.log") as secrets:
        secrets.get_secret("before")


# Simulated, for every machine


class Full:
    """`os.write` or `os.fsync` of modules, with a switch that makes the disk full; half of a line is written."""

    def __init__(self, monkeypatch, function: str, *modules) -> None:
        real = getattr(os, function)
        self.full = False

        def call(descriptor, *arguments):
            if not self.full:
                return real(descriptor, *arguments)
            if function == "write" and len(arguments[0]) > 1 and self.halves:
                self.halves -= 1
                return real(descriptor, bytes(arguments[0])[: len(arguments[0]) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.halves = 1
        patched = type(os)("os")
        patched.__dict__.update(os.__dict__ | {function: call})
        for module in modules:
            monkeypatch.setattr(module, "os", patched)


@pytest.mark.parametrize("function", ["write", "fsync"])
def test_a_file_store_whose_disk_is_full_halfway_keeps_the_file_before(function, tmp_path, master_key, monkeypatch):
    disk = Full(monkeypatch, function, placing, files)
    with strongroom.init(f"file:{tmp_path}/store", audit="memory:") as secrets:
        secrets.set_secret("before", "kept")
        disk.full = True
        with pytest.raises(StoreError, match="disk is full"):
            secrets.set_secret("before", "lost")
        assert values(secrets) == {"before": "kept"}
        assert not list(tmp_path.glob(".*.tmp"))
        disk.full = False
        secrets.set_secret("after", "works")
        assert values(secrets) == {"before": "kept", "after": "works"}
        assert secrets.verify().problems == ()


@pytest.mark.parametrize("function", ["write", "fsync"])
def test_an_event_that_is_only_half_written_lets_nothing_out(kind, function, tmp_path, monkeypatch):
    disk = Full(monkeypatch, function, audit_file, files)
    url, audit = f"{kind}:{tmp_path}/store", f"file:{tmp_path}/audit.log"
    with strongroom.init(url, audit=audit, sync="fsync") as secrets:
        secrets.set_secret("before", "kept")
        disk.full = True
        for _ in range(2):
            with pytest.raises(AuditError, match="ENOSPC"):
                secrets.get_secret("before")
            with pytest.raises(AuditError, match="ENOSPC"):
                secrets.set_secret("before", "lost")
        disk.full = False
        assert values(secrets) == {"before": "kept"}
        report = secrets.verify_audit()
        assert report.problems == ()
        assert any("torn" in note.message for note in report.notes) == (function == "write")


def test_a_change_whose_outcome_cannot_be_recorded_says_that_it_was_made(kind, tmp_path, monkeypatch):
    url, audit = f"{kind}:{tmp_path}/store", f"file:{tmp_path}/audit.log"
    with strongroom.init(url, audit=audit) as secrets, monkeypatch.context() as patch:
        disk = Full(patch, "write", audit_file, files)
        disk.halves = 0
        sink = secrets._access.audit.sink
        append = sink.append

        def append_until_committed(line: bytes) -> None:
            disk.full = b'"action":"SET"' in line and b'"outcome":"ok"' in line
            append(line)

        patch.setattr(sink, "append", append_until_committed)
        with pytest.raises(AuditError, match="the change was made"):
            secrets.set_secret("name", "made")
    with strongroom.open(url, audit=audit) as secrets:
        assert secrets.get_secret("name") == "made"
        (event,) = secrets.get_audit_logs(action="SET")
        assert event["outcome"] == "intent"

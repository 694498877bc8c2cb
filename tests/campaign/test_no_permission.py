"""Files and directories that may not be written; root may write everything, so this is done as another user."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from strongroom.cli import surroundings
from strongroom.errors import AuditError, StoreError
from strongroom.settings.config import Config

from . import KINDS

NOBODY = 65534


@pytest.fixture(params=KINDS)
def files(request, open_place, master_key):
    """The URL of a store of root's, which others may read, and that of a log that all may write."""
    url, audit = f"{request.param}:{open_place}/store/secrets", f"file:{open_place}/log/audit.log"
    with strongroom.init(url, audit=audit) as secrets:
        secrets.set_secret("name", "value")
    for path in (open_place / "store").iterdir():
        path.chmod(0o644)
    (open_place / "store").chmod(0o755)
    (open_place / "log").chmod(0o777)
    for path in (open_place / "log").iterdir():  # the log, and its lock, which is made before there is a log to copy
        path.chmod(0o666)
    return url, audit


def as_nobody(work: Callable[[], None]) -> None:
    """Do `work` in a child that is not root; fail when it does."""
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "see the traceback on standard error"


def check_reads_and_refuses_writes(url: str, audit: str) -> None:
    with strongroom.open(url, audit=audit) as secrets:
        assert secrets.get_secret("name") == "value"
        assert secrets.get_secret("missing") is None
        assert secrets.list_secrets() == ["name"]
        assert secrets.verify().problems == ()
        for write in (
            lambda: secrets.set_secret("name", "other"),
            lambda: secrets.delete_secret("name"),
            lambda: secrets.destroy_secret("name"),
            secrets.custody.rekey_data,
        ):
            with pytest.raises(StoreError, match=r"permission denied|read-only|not permitted|written"):
                write()
        assert secrets.get_secret("name") == "value"


def all_is_as_it_was(url: str, audit: str) -> None:
    with strongroom.open(url, audit=audit) as secrets:
        assert secrets.get_secret("name") == "value"
        assert len(secrets.history("name")) == 1
        secrets.set_secret("after", "works")
        assert secrets.verify().problems == ()
        assert secrets.verify_audit().problems == ()


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@only_root
def test_a_store_in_a_read_only_directory_is_read_with_every_access_on_record(files):
    url, audit = files
    as_nobody(lambda: check_reads_and_refuses_writes(url, audit))
    with strongroom.open(url, audit=audit) as secrets:
        events = secrets.get_audit_logs(name="name", actor="nobody")
        assert [event["outcome"] for event in events].count("failed") == 3
        assert sum(event["action"] == "GET" for event in events) == 2
    all_is_as_it_was(url, audit)


@only_root
def test_doctor_says_that_the_store_can_only_be_read(files, open_place):
    url, audit = files
    store = open_place / "store"

    def finding() -> surroundings.Finding:
        found = surroundings.check_files(Config(store=url, audit=audit))
        return next(each for each in found if each.what.startswith("this user can"))

    def closed(*paths: Path) -> Callable[[], None]:
        def check() -> None:
            assert finding().what.startswith(f"this user cannot write to {' and '.join(map(str, paths))}, so")
            assert "owner" in finding().advice

        return check

    as_nobody(closed(store, store / "secrets"))
    store.chmod(0o777)
    as_nobody(closed(store / "secrets"))
    assert finding().state == "ok"


@only_root
def test_a_read_only_store_in_a_writable_directory_is_read_and_not_written(files, open_place):
    url, audit = files
    (open_place / "store").chmod(0o777)
    as_nobody(lambda: check_reads_and_refuses_writes(url, audit))
    all_is_as_it_was(url, audit)


@only_root
def test_a_store_that_may_not_be_read_says_so(files, open_place):
    url, audit = files

    def refused() -> None:
        with pytest.raises(StoreError, match=r"permission|may not be read|cannot be opened"):
            strongroom.open(url, audit=audit)

    (open_place / "store" / "secrets").chmod(0o600)
    as_nobody(refused)
    (open_place / "store").chmod(0o700)
    as_nobody(refused)
    all_is_as_it_was(url, audit)


@only_root
@pytest.mark.parametrize("what", ["file", "directory"])
def test_without_an_audit_log_to_write_to_nothing_is_answered(files, open_place, what):
    url, audit = files
    log = open_place / "log" / "audit.log"
    if what == "file":
        log.chmod(0o644)
    else:
        log.unlink()
        (open_place / "log").chmod(0o755)

    def refused() -> None:
        with pytest.raises(AuditError, match="EACCES"):
            read(url, audit)

    as_nobody(refused)


def read(url: str, audit: str) -> object:
    with strongroom.open(url, audit=audit) as secrets:
        return secrets.get_secret("name")


@only_root
def test_init_in_a_read_only_directory_makes_nothing(files, open_place):
    kind = files[0].partition(":")[0]

    def refused() -> None:
        with pytest.raises(StoreError, match=r"permission denied|cannot be opened"):
            strongroom.init(f"{kind}:{open_place}/store/another", audit=files[1])

    before = sorted(path.name for path in (open_place / "store").iterdir())
    as_nobody(refused)
    assert sorted(path.name for path in (open_place / "store").iterdir()) == before


@only_root
def test_another_user_who_may_write_the_log_may_also_rotate_it(files):
    url, audit = files

    def rotate() -> None:
        with strongroom.open(url, audit=audit, audit_max_bytes=2_000) as secrets:
            for _ in range(50):
                assert secrets.get_secret("name") == "value"

    as_nobody(rotate)
    with strongroom.open(url, audit=audit) as secrets:
        report = secrets.verify_audit()
        assert (report.problems, report.segments > 2) == ((), True)
    as_nobody(rotate)

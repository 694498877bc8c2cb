"""What the operating system has against the place of a store is said in words, and changes nothing."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from strongroom.errors import StoreError, StoreNotFoundError
from strongroom.stores.file import FileStore
from strongroom.stores.sqlite import SqliteStore

KINDS = pytest.mark.parametrize("kind", [FileStore, SqliteStore])


@KINDS
@pytest.mark.parametrize("create", [True, False])
def test_a_path_that_leads_through_a_file_is_told(tmp_path, kind, create):
    (tmp_path / "file").write_bytes(b"theirs")
    with pytest.raises(StoreError, match="a part of its path is a file") as caught:
        kind(str(tmp_path / "file" / "store"), create=create)
    assert type(caught.value) is StoreError
    assert (tmp_path / "file").read_bytes() == b"theirs"


@KINDS
@pytest.mark.parametrize("create", [True, False])
def test_a_name_that_is_too_long_is_told(tmp_path, kind, create):
    with pytest.raises(StoreError, match="its name is too long"):
        kind(str(tmp_path / ("n" * 300)), create=create)
    assert os.listdir(tmp_path) == []


@KINDS
def test_a_link_that_leads_nowhere_is_no_store(tmp_path, kind):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreNotFoundError):
        kind(str(tmp_path / "link"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that are another user's")
def test_a_lock_that_is_another_users_stays_theirs(tmp_path):
    path = tmp_path / "secrets.enc"
    with closing(FileStore(str(path), create=True)) as store:
        lock = tmp_path / "secrets.enc.lock"
        lock.touch(mode=0o640)
        os.chown(lock, 12345, 12346)
        with store.transaction() as transaction:
            transaction.put("secret/A", b"x")
        found = lock.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 12346, 0o640)


def test_what_is_in_the_way_of_the_lock_is_told(tmp_path):
    with closing(FileStore(str(tmp_path / "secrets.enc"), create=True)) as store:
        (tmp_path / "secrets.enc.lock").unlink(missing_ok=True)
        (tmp_path / "secrets.enc.lock").mkdir()
        with pytest.raises(StoreError, match="it is a directory"), store.transaction():
            pass
        assert store.revision() == 0

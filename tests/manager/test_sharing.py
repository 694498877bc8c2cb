"""Many managers, threads and processes on one store."""

import os
import threading

import pytest

from strongroom import abilities
from strongroom.errors import StoreNotFoundError, UnknownKeyIdError, WrongKeyError
from strongroom.key_providers.env import EnvKeyProvider


@pytest.fixture(params=["sqlite", "file"])
def on_disk(request, make_manager):
    return make_manager(request.param)


def test_two_managers_see_each_others_changes_at_once(manager, reopen):
    other = reopen(manager)
    for number in range(5):
        manager.set_secret("A", f"mine {number}")
        assert other.get_secret("A") == f"mine {number}"
        other.set_secret("A", f"theirs {number}")
        assert manager.get_secret("A") == f"theirs {number}"
    other.delete_secret("A")
    assert manager.get_secret("A") is None
    manager.undelete_secret("A")
    assert other.get_secret("A") == "theirs 4"
    assert other.destroy_secret("A", with_history=True)
    assert manager.metadata("A") is None


def test_threads_read_and_write_without_losing_a_version(manager):
    failures = []

    def work(number):
        try:
            for turn in range(5):
                manager.set_secret(f"own/{number}", f"{number}-{turn}")
                assert manager.get_secret(f"own/{number}") == f"{number}-{turn}"
                manager.set_secret("shared", f"{number}-{turn}")
                assert manager.get_secret("shared") is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert manager.metadata("shared").current == 40
    assert manager.verify().ok
    assert manager.verify_audit().ok


def in_child(work):
    """Run `work` in a forked child; fail when it fails."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_a_child_reads_and_writes_and_the_parent_goes_on(on_disk):
    manager = on_disk
    manager.set_secret("A", "parent")

    def work():
        assert manager.get_secret("A") == "parent"
        manager.set_secret("A", "child")

    in_child(work)
    assert manager.get_secret("A") == "child"
    manager.set_secret("A", "parent again")
    assert manager.verify().ok


def test_a_child_forked_while_another_thread_works_is_not_stuck(on_disk):
    manager = on_disk
    manager.set_secret("A", "x")
    stop = threading.Event()

    def work():
        while not stop.is_set():
            manager.get_secret("A", version=1)
            manager.history("A")
            stop.wait(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            in_child(lambda: manager.get_secret("A", version=1))
    finally:
        stop.set()
        thread.join()


def test_a_running_process_outlives_a_new_data_key(manager, reopen):
    other = reopen(manager)
    manager.set_secret("A", "x")
    assert other.get_secret("A") == "x"
    manager.custody.rekey_data()
    assert other.get_secret("A") == "x"
    assert other.get_secret("A", version=1) == "x"
    other.set_secret("A", "y")
    assert manager.get_secret("A") == "y"
    assert other.verify_encryption("A").key_id == manager._access.engine.unlocked.keyset.primary.id
    assert other.verify().ok


def test_a_running_process_outlives_a_new_master_key_without_being_given_it(manager, reopen, monkeypatch):
    monkeypatch.setenv("NEW_KEY", "A" * 43 + "=")
    other = reopen(manager)
    manager.custody.rekey_master(EnvKeyProvider("NEW_KEY"))
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    other.set_secret("A", "x")
    assert other.get_secret("A") == "x"
    assert manager.get_secret("A") == "x"
    assert reopen(manager, "env:NEW_KEY").get_secret("A") == "x"


def test_a_running_process_of_one_who_stays_outlives_a_removal(manager, reopen, monkeypatch):
    monkeypatch.setenv("SECOND", "A" * 43 + "=")
    second = manager.custody.add_recipient(EnvKeyProvider("SECOND"))
    other, removed = reopen(manager), reopen(manager, "env:SECOND")
    manager.set_secret("A", "x")
    assert removed.get_secret("A") == "x"
    manager.custody.remove_recipient(second.id)
    manager.set_secret("A", "y")
    assert other.get_secret("A") == "y"
    with pytest.raises(WrongKeyError):
        removed.get_secret("A")


def test_keys_belong_to_the_view_that_asked_for_them(manager, reopen):
    """A commit of other keys must not reach a reader of an older state."""
    other = reopen(manager)
    manager.set_secret("A", "x")
    engine = manager._access.engine
    with engine.store.view() as view:
        view.get("secret/A")
        other.custody.rekey_data("fernet")
        engine.keys_seen_by(engine.store)
        assert engine.unlocked.keyset.primary.algorithm == "fernet"
        old = engine.keys_seen_by(view)
        assert view.get("system/keyset") == old.stored[1]
        assert old.records.open_data("A", view.get("secret/A")) == b"sx"
    assert manager.get_secret("A") == "x"


def test_a_key_that_is_in_no_keyset_stays_an_error(manager, plant):
    manager.set_secret("A", "x")
    stored = manager._access.engine.store.get("secret/A")
    plant(manager, "secret/A", stored[:1] + b"\0\0\0\x63" + stored[5:])
    with pytest.raises(UnknownKeyIdError, match="data key 99 is not in the keyset"):
        manager.get_secret("A")


def test_a_data_key_is_retired_long_before_its_nonces_may_repeat(make_manager, monkeypatch):
    manager = make_manager()
    monkeypatch.setattr("strongroom.engine.engine.USES_OF_A_KEY", 10)
    for number in range(12):
        manager.set_secret("A", f"{number}")
    custody = manager.custody
    keys = [key for key in custody.keys() if key.purpose == "record"]  # noqa: SIM118 - it is no mapping
    assert [key.state for key in keys[:-1]] == ["enabled"] * (len(keys) - 1)
    assert len(keys) >= 3
    assert keys[-1].state == "primary"
    assert manager.get_secret("A") == "11"
    assert manager.get_secret("A", version=5) == "4"
    assert manager.verify().ok


def test_a_store_that_is_taken_away_is_said_to_be_gone(make_manager, tmp_path):
    manager = make_manager("file")
    manager.set_secret("A", "x")
    os.rename(tmp_path / "store-0", tmp_path / "elsewhere")
    with pytest.raises(StoreNotFoundError):
        manager.get_secret("A")


def test_a_reader_puts_checkpoints_into_the_store_now_and_then(make_manager, monkeypatch):
    manager = make_manager()
    manager.set_secret("A", "x")
    monkeypatch.setattr("strongroom.audit.log.CHECKPOINT_AFTER", 0)
    manager._access.audit._every = 3
    before = abilities.revision(manager._access.engine.store)
    for _ in range(7):
        manager.get_secret("A")
    assert abilities.revision(manager._access.engine.store) == before + 2
    assert manager.verify().ok


def test_a_reader_on_a_store_that_cannot_be_written_still_reads(make_manager, monkeypatch):
    from strongroom.errors import StoreError

    manager = make_manager()
    manager.set_secret("A", "x")
    monkeypatch.setattr("strongroom.audit.log.CHECKPOINT_AFTER", 0)
    manager._access.audit._every = 1

    def refuse():
        raise StoreError("read-only")

    monkeypatch.setattr(manager._access.engine.store, "transaction", refuse)
    assert manager.get_secret("A") == "x"

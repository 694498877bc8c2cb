import os
import pathlib
import warnings

import pytest

import strongroom
from strongroom.errors import (
    ConfigError,
    InvalidKeyError,
    NoKeyError,
    RollbackError,
    StoreExistsError,
    StoreNotFoundError,
    TamperedError,
    WrongKeyError,
)  # fmt: skip
from strongroom.opening import StrongroomWarning, os_user


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, master_key):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_makes_store_and_log_and_open_finds_them(project):
    with strongroom.init() as manager:
        manager.set_secret("A", "x")
    assert (project / "secrets.db").stat().st_mode & 0o777 == 0o600
    with strongroom.open() as manager:
        assert manager.get_secret("A") == "x"
        newest = manager.get_audit_logs(limit=1)[0]
    assert (newest["actor"], newest["source"]) == (os_user(), "library")
    assert (project / "logs" / "secrets_audit.log").exists()


def test_init_never_overwrites(project):
    for url in ("secrets.db", "secrets.enc"):
        with strongroom.init(url) as manager:
            manager.set_secret("A", "x")
        with pytest.raises(StoreExistsError, match="already holds a store; nothing was changed"):
            strongroom.init(url)
        with strongroom.open(url) as manager:
            assert manager.get_secret("A") == "x"


def test_init_goes_on_where_one_died_before_its_first_commit(project):
    strongroom.drivers.store("sqlite:secrets.db", create=True).close()
    with strongroom.init() as manager:
        assert manager.verify().ok


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"key": "env:NO_SUCH_VARIABLE"}, NoKeyError),
        ({"key": "env:MALFORMED"}, InvalidKeyError),
        ({"algorithm": "rot13"}, ConfigError),
        ({"colour": "red"}, ConfigError),
    ],
)
def test_init_makes_nothing_when_something_is_wrong(project, monkeypatch, arguments, error):
    monkeypatch.setenv("MALFORMED", "x")
    with pytest.raises(error):
        strongroom.init(**arguments)
    assert list(project.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "algorithm", "expected"),
    [
        ("secrets.enc", None, "fernet"), ("secrets.db", None, "aes-256-gcm"), ("memory:", None, "aes-256-gcm"),
        ("secrets.enc", "aes-256-gcm", "aes-256-gcm"), ("secrets.db", "fernet", "fernet"),
    ],
)  # fmt: skip
def test_the_algorithm_is_the_stores_own_unless_one_is_given(url, algorithm, expected):
    with strongroom.init(url, algorithm=algorithm) as manager:
        manager.set_secret("A", "x")
        assert manager.verify_encryption("A").algorithm == expected


def test_open_makes_nothing(project):
    with pytest.raises(StoreNotFoundError, match="strongroom init"):
        strongroom.open()
    assert not (project / "secrets.db").exists()


def test_an_empty_store_is_no_store():
    with pytest.raises(StoreNotFoundError, match="memory: is empty; make a store there with `strongroom init`"):
        strongroom.open("memory:")


@pytest.mark.parametrize("given", [pathlib.Path("secrets.db"), 5, b"secrets.db", object()])
def test_what_is_no_driver_is_refused(given):
    for name in ("store", "key", "audit"):
        with pytest.raises(ConfigError, match="a driver is text such as sqlite:"):
            strongroom.open(**{name: given})


def test_drivers_may_be_objects(make_manager):
    manager = make_manager()
    access = manager._access
    again = strongroom.open(access.engine.store, access.engine.provider, access.audit.sink, actor="bob", service="shop")
    again.set_secret("A", "x")
    event = manager.get_audit_logs(action="SET")[0]
    assert (event["actor"], event["service"]) == ("bob", "shop")


def test_a_wrong_key_closes_the_store_and_is_on_record(project, monkeypatch):
    strongroom.init().close()
    monkeypatch.setenv("SECRETS_MASTER_KEY", "A" * 43 + "=")
    with pytest.raises(WrongKeyError):
        strongroom.open()
    last = (project / "logs" / "secrets_audit.log").read_text().splitlines()[-1]
    assert '"action":"OPEN","name":null,"outcome":"failed","reason":"wrong_key"' in last
    assert '"mac":null' in last


@pytest.mark.parametrize("path", ["system/header", "system/keyset"])
def test_a_store_without_header_or_keyset_is_tampered_with(make_manager, reopen, plant, path):
    manager = make_manager("sqlite")
    plant(manager, path, None)
    with pytest.raises(TamperedError, match=f"has no '{path}': restore it"):
        reopen(manager)


@pytest.mark.parametrize("path", ["system/header", "system/keyset"])
def test_a_damaged_header_or_keyset_is_not_called_a_wrong_key(make_manager, reopen, plant, events, path):
    manager = make_manager("sqlite")
    plant(manager, path, manager._access.engine.store.get(path)[:-1])
    with pytest.raises(TamperedError, match=path):
        reopen(manager)
    assert events(manager, 1) == [("OPEN", None, "failed", "tampered", None)]


# An old copy of the whole store


@pytest.fixture(params=["sqlite", "file"])
def restored(request, project):
    """The URL of a store of which an old copy was put back."""
    url = {"sqlite": "sqlite:secrets.db", "file": "file:secrets.enc"}[request.param]
    path = project / url.partition(":")[2]
    with strongroom.init(url) as manager:
        manager.set_secret("A", "old")
    old = path.read_bytes()
    with strongroom.open(url) as manager:
        manager.set_secret("A", "new")
    for part in project.glob("secrets.*"):
        part.unlink()
    path.write_bytes(old)
    return url


def test_an_old_copy_is_refused_and_on_record(restored, project):
    with pytest.raises(RollbackError, match=r"revision \d+, but the audit log has recorded revision \d+"):
        strongroom.open(restored, on_rollback="refuse")
    assert '"reason":"rollback"' in (project / "logs" / "secrets_audit.log").read_text()


def test_an_old_copy_is_only_warned_of_when_that_is_wanted(restored):
    with (
        pytest.warns(StrongroomWarning, match="an old copy of the store was restored"),
        strongroom.open(restored, on_rollback="warn") as manager,
    ):
        assert manager.get_secret("A") == "old"


def test_the_file_store_warns_by_default_and_the_database_refuses(restored):
    if restored.startswith("file:"):
        with pytest.warns(StrongroomWarning, match="old copy"):
            strongroom.open(restored).close()
    else:
        with pytest.raises(RollbackError):
            strongroom.open(restored)


def test_an_accepted_old_copy_is_opened_in_silence(restored):
    with pytest.warns(StrongroomWarning), strongroom.open(restored, on_rollback="warn") as manager:  # noqa: PT031
        for turn in range(3):
            manager.set_secret("A", f"newer {turn}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strongroom.open(restored, on_rollback="refuse").close()


def test_another_spelling_of_the_stores_id_does_not_hide_an_old_copy(restored):
    from hashlib import sha256

    store = strongroom.drivers.store(restored)
    with store.transaction() as tx:
        body = tx.get("system/header").partition(b"\n")[2]
        store_id = body[11:43]
        body = body.replace(store_id, store_id.upper())
        tx.put("system/header", b"strongroom header 1 " + sha256(body).hexdigest().encode() + b"\n" + body)
    store.close()
    with pytest.raises(TamperedError):
        strongroom.open(restored)


def test_a_user_without_a_name_is_named_by_number(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert os_user() == "uid:3999999999"


def test_settings_reach_the_audit_sink(project):
    with strongroom.init(audit_max_bytes=2000, audit_keep=1) as manager:
        for turn in range(30):
            manager.set_secret("A", f"{turn}")
    assert len(list((project / "logs").iterdir())) in (2, 3)


def test_a_failed_init_closes_what_it_made(project):
    (project / "file").touch()
    with pytest.raises(strongroom.AuditError):
        strongroom.init(audit="file:file/audit.log")
    with strongroom.open(audit="memory:") as manager:
        assert manager.verify().ok


def test_a_store_that_was_restored_is_refused_although_only_readers_were_there_since(project):
    strongroom.init().close()
    old = (project / "secrets.db").read_bytes()
    with strongroom.open() as manager:
        manager.set_secret("A", "x")
    # The line of the write is out of sight, as in a log that goes on in a new file.
    log = project / "logs" / "secrets_audit.log"
    log.rename(log.with_name("elsewhere"))
    strongroom.open().get_secret("A")
    for file in project.glob("secrets.db-*"):
        file.unlink()
    (project / "secrets.db").write_bytes(old)
    with pytest.raises(RollbackError):
        strongroom.open()

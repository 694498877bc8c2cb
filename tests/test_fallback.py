import os
import threading
import warnings

import pytest

import strongroom
from strongroom import fallback, get_secret_or_env
from strongroom.errors import (
    AuditError,
    ConfigError,
    InvalidKeyError,
    InvalidNameError,
    NoKeyError,
    StoreNotFoundError,
    TamperedError,
    WrongKeyError,
)  # fmt: skip
from strongroom.opening import StrongroomWarning

VALUE = "scorpion-value"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, master_key):
    """An empty project directory with a master key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("DB", "OTHER"):
        monkeypatch.delenv(name, raising=False)
    fallback.reset()
    yield tmp_path
    fallback.reset()


@pytest.fixture
def store(project):
    with strongroom.init() as manager:
        manager.set_secret("DB", VALUE)
    return project / "secrets.db"


@pytest.fixture
def silent():
    """Let every warning fail the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def damage(project):
    with strongroom.open() as manager, manager._access.engine.store.transaction() as tx:
        stored = tx.get("secret/DB")
        tx.put("secret/DB", stored[:-1] + bytes([stored[-1] ^ 1]))


def log(project) -> bytes:
    return (project / "logs" / "secrets_audit.log").read_bytes()


def test_the_store_answers_before_the_environment(store, silent, monkeypatch):
    monkeypatch.setenv("DB", "from the environment")
    assert get_secret_or_env("DB", "DB", "default") == VALUE


@pytest.mark.usefixtures("silent")
def test_a_missing_secret_comes_from_the_variable_and_then_from_the_default(store, monkeypatch):
    assert get_secret_or_env("missing") is None
    assert get_secret_or_env("missing", default="d") == "d"
    monkeypatch.setenv("missing", "by its name")
    monkeypatch.setenv("OTHER", "by the other name")
    assert get_secret_or_env("missing") == "by its name"
    assert get_secret_or_env("missing", "OTHER") == "by the other name"
    assert get_secret_or_env("missing", "UNSET_VARIABLE", "d") == "d"


def test_an_empty_secret_is_an_answer(store, silent, monkeypatch):
    with strongroom.open() as manager:
        manager.set_secret("OTHER", "")
    monkeypatch.setenv("OTHER", "x")
    assert get_secret_or_env("OTHER", default="d") == ""


def test_a_field_is_answered_by_the_store_and_else_by_its_own_variable(store, silent, monkeypatch):
    with strongroom.open() as manager:
        manager.set_secret("LOGIN", {"username": "app", "value": VALUE})
    monkeypatch.setenv("DB_USERNAME", "by its own name")
    monkeypatch.setenv("OTHER", "by the other name")
    assert get_secret_or_env("LOGIN", field="username") == "app"
    assert get_secret_or_env("LOGIN") == VALUE, "a call site that asks for no field goes on as before"
    assert get_secret_or_env("DB", field="username") == "by its own name"
    assert get_secret_or_env("DB", "OTHER", field="username") == "by the other name"
    assert get_secret_or_env("OTHER", default="d", field="username") == "d"


def test_without_a_store_the_environment_answers_with_one_warning(monkeypatch, project):
    monkeypatch.setenv("DB", VALUE)
    with pytest.warns(StrongroomWarning, match="no strongroom store") as caught:  # noqa: PT031
        assert get_secret_or_env("DB") == VALUE
        assert get_secret_or_env("OTHER", default="d") == "d"
        assert get_secret_or_env("DB", "OTHER") is None
    assert len(caught) == 1
    assert VALUE not in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not (project / "secrets.db").exists()


def test_a_store_that_is_made_later_is_found(monkeypatch, project):
    with pytest.warns(StrongroomWarning):
        assert get_secret_or_env("DB") is None
    with strongroom.init() as manager:
        manager.set_secret("DB", VALUE)
    assert get_secret_or_env("DB") == VALUE


def test_without_a_key_the_environment_answers_with_one_warning(store, monkeypatch):
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    monkeypatch.setenv("DB", "from the environment")
    with pytest.warns(StrongroomWarning, match="SECRETS_MASTER_KEY is not set") as caught:  # noqa: PT031
        assert get_secret_or_env("DB") == "from the environment"
        assert get_secret_or_env("OTHER", default="d") == "d"
    assert len(caught) == 1


def test_a_store_that_somebody_configured_must_be_there(monkeypatch, project):
    monkeypatch.setenv("STRONGROOM_STORE", "sqlite:elsewhere.db")
    with pytest.raises(StoreNotFoundError):
        get_secret_or_env("DB", default="d")


def test_a_key_that_somebody_configured_must_be_there(monkeypatch, store):
    monkeypatch.setenv("STRONGROOM_KEY", "env:NO_SUCH_VARIABLE")
    with pytest.raises(NoKeyError):
        get_secret_or_env("DB", default="d")


def test_a_wrong_key_raises_and_is_on_record(store, monkeypatch, project):
    monkeypatch.setenv("SECRETS_MASTER_KEY", "A" * 43 + "=")
    monkeypatch.setenv("DB", "from the environment")
    with pytest.raises(WrongKeyError):
        get_secret_or_env("DB", default="d")
    assert b'"outcome":"failed","reason":"wrong_key"' in log(project)


def test_a_malformed_key_raises(store, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", "hunter2")
    with pytest.raises(InvalidKeyError) as caught:
        get_secret_or_env("DB", default="d")
    assert "hunter2" not in str(caught.value)


def test_a_damaged_record_raises_and_is_on_record(store, project, monkeypatch):
    damage(project)
    monkeypatch.setenv("DB", "from the environment")
    with pytest.raises(TamperedError):
        get_secret_or_env("DB", default="d")
    assert b'"name":"DB","outcome":"failed","reason":"tampered"' in log(project)


def test_a_dropped_record_does_not_fall_back(store, project, monkeypatch):
    with strongroom.open() as manager, manager._access.engine.store.transaction() as tx:
        tx.delete("secret/DB")
    monkeypatch.setenv("DB", "from the environment")
    with pytest.raises(TamperedError, match="missing"):
        get_secret_or_env("DB", default="d")


def test_an_audit_log_that_cannot_be_written_raises(store, project, monkeypatch):
    (project / "file").write_text("")
    monkeypatch.setenv("STRONGROOM_AUDIT", "file:file/audit.log")
    with pytest.raises(AuditError):
        get_secret_or_env("DB", default="d")


def test_with_on_error_fallback_it_warns_and_the_event_is_there(store, project, monkeypatch):
    damage(project)
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    monkeypatch.setenv("DB", "from the environment")
    with pytest.warns(StrongroomWarning, match="falls back to the environment, as on_error says") as caught:  # noqa: PT031
        assert get_secret_or_env("DB") == "from the environment"
        assert get_secret_or_env("DB") == "from the environment"
    assert len(caught) == 1
    assert VALUE not in str(caught[0].message)
    assert log(project).count(b'"reason":"tampered"') == 2


def test_with_on_error_fallback_a_wrong_key_falls_back_too(store, project, monkeypatch):
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    monkeypatch.setenv("SECRETS_MASTER_KEY", "A" * 43 + "=")
    with pytest.warns(StrongroomWarning, match="does not open this store"):
        assert get_secret_or_env("DB", default="d") == "d"
    assert b'"reason":"wrong_key"' in log(project)


def test_the_setting_of_an_earlier_store_is_forgotten(store, project, monkeypatch):
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    get_secret_or_env("DB")
    fallback.reset()
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "nonsense")
    with pytest.raises(ConfigError):
        get_secret_or_env("DB", default="d")


@pytest.mark.parametrize("name", ["", "..", "a\n", 5, None])
def test_a_bad_name_raises_whatever_on_error_says(store, monkeypatch, name):
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    with pytest.raises(InvalidNameError):
        get_secret_or_env(name, default="d")


def test_the_store_is_opened_once(store, monkeypatch):
    opened = []
    real = strongroom.opening.open
    monkeypatch.setattr("strongroom.opening.open", lambda **given: opened.append(1) or real(**given))
    threads = [threading.Thread(target=get_secret_or_env, args=("DB",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def test_nothing_is_printed_or_logged(store, capfd, caplog):
    get_secret_or_env("DB")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_child_forked_while_another_thread_opens_the_store_is_not_stuck(store):
    with fallback._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if fallback._lock.acquire(timeout=5) else 1)
    assert os.waitpid(child, 0)[1] == 0

"""A default store that was deleted or moved: the environment must not answer in its place."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
from tests.attacks.conftest import STRANGER, as_user, python_as, strongroom_as, two_users

import strongroom
from strongroom import fallback, get_secret_or_env
from strongroom.errors import StoreGoneError, StoreNotFoundError
from strongroom.opening import StrongroomWarning

STORES = {"sqlite": "secrets.db", "file": "secrets.enc"}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, master_key):
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.chdir(path)
    monkeypatch.setenv("A", "from the environment")
    fallback.reset()
    yield path
    fallback.reset()


@pytest.fixture(params=sorted(STORES))
def store(request) -> Path:
    path = Path(STORES[request.param])
    with strongroom.init(f"{request.param}:{path}") as manager:
        manager.set_secret("A", "from the store")
    return path


def remove_all_but(*kept: str) -> list[str]:
    """Remove the store, and what was there besides unless it is named by its ending; return what is left."""
    for path in [*Path().glob("secrets.*"), Path("logs")]:
        if not path.name.endswith(kept):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return os.listdir()


def log() -> list[dict]:
    return [json.loads(line) for line in Path("logs/secrets_audit.log").read_text().splitlines()[1:]]


@pytest.mark.parametrize("kept", ["logs", "-gen", "-wal", "-journal", ".lock"])
def test_what_is_left_of_a_store_says_that_it_is_gone(store, kept):
    if kept in ("-wal", "-journal") and store.suffix == ".db":
        Path(f"{store}{kept}").touch()
    if not remove_all_but(kept):
        pytest.skip("this kind of store has no such file")
    with pytest.raises(StoreGoneError, match=f"there was one, by .*{kept}.*restore it from a backup.*strongroom init"):
        get_secret_or_env("A", default="default")
    with pytest.raises(StoreGoneError):
        strongroom.open()


def test_a_store_that_was_moved_away_is_gone_too_and_that_is_on_record(store):
    store.rename("elsewhere")
    for _ in range(2):
        with pytest.raises(StoreGoneError):
            get_secret_or_env("A")
    assert [(event["action"], event["outcome"], event["reason"]) for event in log()[-2:]] == [
        ("OPEN", "failed", "store_gone")
    ] * 2


def test_a_store_of_no_bytes_is_gone(store):
    store.write_bytes(b"")
    with pytest.raises(strongroom.StrongroomError):
        get_secret_or_env("A")


@pytest.mark.parametrize("where", ["sub", "sub/deeper"])
def test_it_is_gone_for_a_directory_below_too(store, project, monkeypatch, where):
    (project / where).mkdir(parents=True)
    remove_all_but("-gen", ".lock", "logs")
    monkeypatch.chdir(project / where)
    with pytest.raises(StoreGoneError):
        get_secret_or_env("A")


def test_a_store_farther_up_does_not_answer_for_one_that_is_gone(store, project, monkeypatch):
    monkeypatch.chdir(project.parent)
    with strongroom.init(f"{'sqlite' if store.suffix == '.db' else 'file'}:{store}") as manager:
        manager.set_secret("A", "of another project")
    monkeypatch.chdir(project)
    remove_all_but("-gen", ".lock", "logs")
    (project / "sub").mkdir()
    for place in (project, project / "sub"):
        monkeypatch.chdir(place)
        with pytest.raises(StoreGoneError):
            get_secret_or_env("A")


@pytest.mark.parametrize("content", [b"", b"no log", b'{"strongroom_audit":1,"log":"0123456789abcdef","segment":1}\n'])
def test_a_log_that_does_not_say_is_enough(content):
    Path("logs").mkdir()
    Path("logs/secrets_audit.log").write_bytes(content)
    with pytest.raises(StoreGoneError):
        get_secret_or_env("A")


def test_a_chosen_log_that_knows_the_store_is_enough(store, monkeypatch, tmp_path):
    remove_all_but()
    monkeypatch.setenv("STRONGROOM_AUDIT", f"file:{tmp_path}/central.log")
    with strongroom.init() as manager:
        manager.set_secret("A", "x")
    remove_all_but()
    with pytest.raises(StoreGoneError, match=r"central\.log"):
        get_secret_or_env("A")


def test_an_id_in_the_settings_is_enough(monkeypatch):
    monkeypatch.setenv("STRONGROOM_STORE_ID", "a" * 32)
    with pytest.raises(StoreGoneError, match="store_id = aaaa"):
        get_secret_or_env("A")


def test_with_on_error_fallback_the_environment_answers_with_a_warning(store, monkeypatch):
    store.unlink()
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    with pytest.warns(StrongroomWarning, match="falls back to the environment, as on_error says: there is no store"):
        assert get_secret_or_env("A") == "from the environment"
    assert log()[-1]["reason"] == "store_gone"


def test_the_command_line_says_what_happened(store, project, master_key):
    store.unlink()
    result = strongroom_as(None, "get", "A", cwd=project, environ={"SECRETS_MASTER_KEY": master_key})
    assert (result.returncode, result.stdout) == (3, "")
    assert "it was deleted or moved" in result.stderr


# No alarm


def quiet() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StrongroomWarning)
        return get_secret_or_env("A")


def test_a_fresh_project_falls_back(project):
    Path("logs").mkdir()
    Path("logs/other.log").touch()
    Path("master.key").touch()
    assert quiet() == "from the environment"


def test_after_everything_is_removed_the_environment_answers(store):
    remove_all_but()
    assert quiet() == "from the environment"


def test_a_new_store_can_be_made_where_one_is_gone(store):
    store.unlink()
    with strongroom.init(f"{'sqlite' if store.suffix == '.db' else 'file'}:{store}") as manager:
        manager.set_secret("A", "new")
    assert get_secret_or_env("A") == "new"


def test_the_log_of_a_store_that_lies_elsewhere_says_nothing(tmp_path):
    with strongroom.init(str(tmp_path / "elsewhere.db")) as manager:
        manager.list_secrets()
    assert os.listdir() == ["logs"]
    assert quiet() == "from the environment"


def test_a_shared_log_says_nothing_of_a_project_that_never_had_a_store(tmp_path, monkeypatch):
    monkeypatch.setenv("STRONGROOM_AUDIT", f"file:{tmp_path}/central.log")
    with strongroom.init(str(tmp_path / "elsewhere.db")) as manager:
        manager.list_secrets()
    assert quiet() == "from the environment"


def test_a_store_that_was_named_is_missing_as_before():
    with pytest.raises(StoreNotFoundError) as caught:
        strongroom.open("secrets.db")
    assert type(caught.value) is StoreNotFoundError


@two_users
def test_what_a_stranger_puts_beside_says_nothing(shared):
    """Or anybody could stop the programs that start below /tmp."""
    below = shared / "mine"
    below.mkdir(mode=0o755)

    def plant() -> None:
        for name in ("secrets.db-gen", "secrets.db-wal", "secrets.enc.lock"):
            (shared / name).touch()
        (shared / "logs").mkdir()
        (shared / "logs" / "secrets_audit.log").touch()

    as_user(STRANGER, plant)
    code = "import strongroom; print(strongroom.get_secret_or_env('A'))"
    result = python_as(None, "-W", "ignore", "-c", code, cwd=below, environ={"A": "from the environment"})
    assert (result.stdout, result.stderr) == ("from the environment\n", "")

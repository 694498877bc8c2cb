"""Another store, under the same master key, in the place of the one that is meant."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.attacks.conftest import strongroom_as

import strongroom
from strongroom import fallback
from strongroom.errors import ConfigError, WrongStoreError

NAMES = {"sqlite": "secrets.db", "file": "secrets.enc"}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, master_key):
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.chdir(path)
    fallback.reset()
    yield path
    fallback.reset()


@pytest.fixture(params=sorted(NAMES))
def url(request) -> str:
    """The URL of a store with one secret, which is to be replaced by another one."""
    url = f"{request.param}:{NAMES[request.param]}"
    with strongroom.init(url) as manager:
        manager.set_secret("A", "the right one")
    return url


def file_of(url: str) -> Path:
    return Path(url.partition(":")[2])


@pytest.fixture
def other(url, tmp_path, monkeypatch) -> Path:
    """The file of another store, made elsewhere, with the same number of commits and more."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(elsewhere)
        with strongroom.init(url) as manager:
            for value in ("another", "planted"):
                manager.set_secret("A", value)
    return elsewhere / file_of(url)


def put_in_place(url: str, other: Path) -> None:
    """Put a store in the place of another one as `mv` does, with what lies beside it."""
    for beside in file_of(url).absolute().parent.glob(f"{file_of(url).name}*"):
        beside.unlink()
    shutil.copy(other, file_of(url))


def log() -> list[dict]:
    return [json.loads(line) for line in Path("logs/secrets_audit.log").read_text().splitlines()[1:]]


def id_of(url: str) -> str:
    store = strongroom.drivers.store(url)
    try:
        return strongroom.opening.store_id(store)
    finally:
        store.close()


# At open: what the audit log knows


def test_another_store_in_its_place_is_refused_and_on_record(url, other):
    right = id_of(url)
    put_in_place(url, other)
    for _ in range(2):
        with pytest.raises(
            WrongStoreError, match=f"by its audit log the store {right} belongs there.*--accept"
        ) as caught:
            strongroom.open(url)
        assert "planted" not in str(caught.value)
    assert [(event["outcome"], event["reason"], event["mac"]) for event in log()[-2:]] == [
        ("failed", "wrong_store", None)
    ] * 2


def test_the_fallback_does_not_answer_from_it(url, other, monkeypatch):
    put_in_place(url, other)
    monkeypatch.setenv("A", "from the environment")
    with pytest.raises(WrongStoreError):
        strongroom.get_secret_or_env("A")
    fallback.reset()
    monkeypatch.setenv("STRONGROOM_ON_ERROR", "fallback")
    with pytest.warns(strongroom.StrongroomWarning, match="falls back"):
        assert strongroom.get_secret_or_env("A") == "from the environment"


@pytest.mark.parametrize(
    "command", [["get", "A"], ["list"], ["verify"], ["set", "A", "--value", "mine"], ["audit", "verify"]]
)
def test_no_command_works_on_it(url, other, project, master_key, command):
    put_in_place(url, other)
    before = file_of(url).read_bytes()
    result = strongroom_as(None, *command, cwd=project, environ={"SECRETS_MASTER_KEY": master_key})
    assert result.returncode == 5
    assert "another store was put in its place" in result.stderr
    assert "planted" not in result.stdout + result.stderr
    assert file_of(url).read_bytes() == before


def test_the_log_of_the_other_store_does_not_vouch_for_it(url, other):
    """It is authentic, but it speaks of another address."""
    put_in_place(url, other)
    with open("logs/secrets_audit.log", "ab") as ours:
        ours.write(b"".join((other.parent / "logs/secrets_audit.log").read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(WrongStoreError):
        strongroom.open(url)


def test_a_forged_line_does_not_vouch_for_it(url, other):
    put_in_place(url, other)
    known = next(event for event in reversed(log()) if event["action"] == "OPEN")
    forged = json.dumps(known | {"store": id_of(url), "key": 3}, separators=(",", ":"))
    with open("logs/secrets_audit.log", "a") as file:
        file.write(forged + "\n")
    with pytest.raises(WrongStoreError):
        strongroom.open(url)


def test_the_store_behind_a_link_is_known_by_the_link(url, other):
    """As with `current/secrets.db`, which a new release is to take along."""
    path = file_of(url)
    shutil.move(path, "1.enc")
    path.symlink_to("1.enc")
    strongroom.open(url).close()
    shutil.copy(other, "2.enc")
    path.unlink()
    path.symlink_to("2.enc")
    for beside in Path().glob("*-*"):
        beside.unlink()
    with pytest.raises(WrongStoreError):
        strongroom.open(url)


# At open: what the log must not do


def forge(count: int, padding: int = 0, **changed) -> None:
    """Append lines that say that another store is here, as anybody can who may append to the log."""
    known = next(event for event in reversed(log()) if event["action"] == "OPEN")
    event = known | {"store": "f" * 32, "service": "x" * padding} | changed
    with open("logs/secrets_audit.log", "a") as file:
        for number in range(count):
            stream = f"{number:016x}"
            file.write(json.dumps(event | {"id": f"{stream}-1", "stream": stream}, separators=(",", ":")) + "\n")


@pytest.mark.parametrize(("count", "padding"), [(1, 0), (2000, 200)], ids=["one line", "a million bytes"])
def test_forged_lines_do_not_lock_the_right_store_out(url, count, padding):
    forge(count, padding)
    with strongroom.open(url) as manager:
        assert manager.get_secret("A") == "the right one"


@pytest.mark.parametrize("most", [2**20, 300_000])
def test_a_flood_does_not_lock_out_a_store_that_was_only_read_with_this_log(url, monkeypatch, most):
    """Such a store has no checkpoint of the log, which a write would leave."""
    monkeypatch.setattr("strongroom.audit.known.MOST_BYTES", most)
    Path("logs").rename("logs of the writer")
    with strongroom.open(url) as manager:
        manager.get_secret("A")
    forge(3_000, 500)
    with strongroom.open(url) as manager:
        assert manager.get_secret("A") == "the right one"


@pytest.mark.parametrize(
    "line", [b'{"id":"0-1","ts":"[' + b"[" * 1000 + b'"}', b'{"id":"0-1","ts":"' + b"1" * 100_000 + b'"}',
             b'{"id":"0-1","ts":"","action":"OPEN","address":1,"host":{},"store":[]}', b'{"id":"0-1","ts":"'],
)  # fmt: skip
def test_lines_of_nonsense_are_passed_over(url, line):
    with open("logs/secrets_audit.log", "ab") as file:
        file.write(line + b"\n")
    strongroom.open(url).close()


def test_several_stores_share_a_log(url, project):
    """On purpose, as is allowed: each is at an address of its own."""
    for name in ("b.db", "c.enc"):
        strongroom.init(name).close()
    for _ in range(2):
        for name in (url, "b.db", "c.enc"):
            strongroom.open(name).close()


def test_a_store_from_elsewhere_is_welcome_in_a_log_of_others(url, other):
    shutil.copy(other, f"new-{other.name}")
    with strongroom.open(f"new-{other.name}") as manager:
        assert manager.get_secret("A") == "planted"


def test_a_project_that_is_moved_or_copied_goes_on(url, project, monkeypatch):
    shutil.copytree(project, project.with_name("copy"))
    project.rename(project.with_name("moved"))
    for name in ("copy", "moved"):
        monkeypatch.chdir(project.with_name(name))
        with strongroom.open(url) as manager:
            assert manager.get_secret("A") == "the right one"


def test_a_store_that_is_removed_and_made_anew_is_the_right_one(url):
    for beside in Path().glob("secrets.*"):
        beside.unlink()
    with strongroom.init(url) as manager:
        manager.set_secret("A", "new")
    with strongroom.open(url) as manager:
        assert manager.get_secret("A") == "new"


def test_one_that_is_there_on_purpose_is_accepted_for_good(url, other, project, master_key):
    put_in_place(url, other)
    environ = {"SECRETS_MASTER_KEY": master_key}
    result = strongroom_as(None, "verify", "--accept", cwd=project, environ=environ)
    assert result.returncode == 0, result.stderr
    assert [event["outcome"] for event in log() if event.get("reason") == "accept"] == ["intent", "ok"]
    for _ in range(2):
        with strongroom.open(url) as manager:
            assert manager.get_secret("A") == "planted"


# The settings


def test_the_id_in_the_settings_is_the_one_that_is_meant(url, other, monkeypatch):
    right = id_of(url)
    strongroom.open(url, store_id=right).close()
    shutil.rmtree("logs")
    put_in_place(url, other)
    Path("strongroom.toml").write_text(f'store_id = "{right}"\n')
    for given in ({}, {"audit": "memory:"}):
        with pytest.raises(WrongStoreError, match=f"the store {right} is meant"):
            strongroom.open(**given)
    monkeypatch.setenv("STRONGROOM_STORE_ID", id_of(url))
    strongroom.open().close()


def test_the_id_in_the_settings_is_not_that_of_another_store_that_is_named(url, other):
    Path("strongroom.toml").write_text(f'store_id = "{id_of(url)}"\n')
    with strongroom.open(str(other)) as manager:
        assert manager.get_secret("A") == "planted"


@pytest.mark.parametrize("store_id", ["x", "A" * 32, "a" * 31, "a" * 32 + "\n", 5])
def test_what_is_no_id_is_refused(url, store_id):
    with pytest.raises(ConfigError, match="store_id"):
        strongroom.open(url, store_id=store_id)


def test_no_other_store_is_made_where_the_settings_name_one():
    with pytest.raises(ConfigError, match="put that store back, or remove store_id"):
        strongroom.init(store_id="a" * 32)
    assert os.listdir() == []


# Under a running process


def test_a_process_does_not_go_on_with_another_store(url, other):
    with strongroom.open(url) as manager:
        live = manager.secret("A")
        assert live.value == "the right one"
        put_in_place(url, other)
        if url.startswith("sqlite:") and manager._access.engine.store.get("system/header") != header(url):
            pytest.skip("this process has the database open that was removed")
        for use in (
            lambda: manager.get_secret("A"),
            lambda: manager.get_secret("missing"),
            lambda: manager.set_secret("A", "mine"),
            lambda: manager.history("A"),
            manager.verify,
            lambda: live.value,
        ):
            with pytest.raises(strongroom.StrongroomError) as caught:
                use()
            assert isinstance(caught.value, WrongStoreError)
            assert "planted" not in str(caught.value)
        assert log()[-1]["reason"] == "wrong_store"
    store = strongroom.drivers.store(str(other))
    assert store.get("system/manifest") == manifest(url), "nothing was written to it"
    store.close()


def header(url: str) -> bytes:
    return entry(url, "system/header")


def manifest(url: str) -> bytes:
    return entry(url, "system/manifest")


def entry(url: str, path: str) -> bytes:
    store = strongroom.drivers.store(url)
    try:
        return store.get(path)
    finally:
        store.close()


def test_a_restored_backup_is_followed(url, tmp_path):
    with strongroom.open(url, on_rollback="warn") as manager:
        backup = tmp_path / "backup"
        shutil.copy(file_of(url), backup)
        if url.startswith("file:"):
            os.replace(backup, file_of(url))
        assert manager.get_secret("A") == "the right one"


# What `init` leaves in the settings


def init(project: Path, master_key: str, *arguments: str) -> str:
    result = strongroom_as(None, "init", *arguments, cwd=project, environ={"SECRETS_MASTER_KEY": master_key})
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_init_names_its_store_in_the_settings(project, tmp_path, master_key, monkeypatch):
    """Another store is refused even when everything else came with it."""
    assert "strongroom.toml names this store" in init(project, master_key)
    with strongroom.open() as manager:
        manager.set_secret("A", "the right one")
        assert f'store_id = "{manager.store_id}"' in Path("strongroom.toml").read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    init(elsewhere, master_key)
    monkeypatch.chdir(elsewhere)
    with strongroom.open() as manager:
        manager.set_secret("A", "planted")
    monkeypatch.chdir(project)
    for left in [*Path().glob("secrets.*"), *Path("logs").iterdir()]:
        left.unlink()
    for name in ("secrets.db", "logs/secrets_audit.log"):
        shutil.copy(elsewhere / name, name)
    result = strongroom_as(None, "get", "A", cwd=project, environ={"SECRETS_MASTER_KEY": master_key})
    assert (result.returncode, result.stdout) == (5, "")
    assert "write store_id = " in result.stderr


def test_init_makes_a_new_store_where_its_last_one_is_gone(project, master_key):
    init(project, master_key)
    first = Path("strongroom.toml").read_text()
    for left in Path().glob("secrets.*"):
        left.unlink()
    init(project, master_key)
    assert Path("strongroom.toml").read_text() != first
    strongroom.open().close()


def test_init_makes_no_other_store_than_somebody_has_named(project, master_key):
    settings = f'actor = "me"\nstore_id = "{"a" * 32}"\n'
    Path("strongroom.toml").write_text(settings)
    result = strongroom_as(None, "init", "--yes", cwd=project)
    assert result.returncode == 2
    assert "put that store back, or remove store_id" in result.stderr
    assert os.listdir() == ["strongroom.toml"], "and no key either"
    assert Path("strongroom.toml").read_text() == settings


@pytest.mark.parametrize(
    ("name", "content"),
    [("strongroom.toml", 'actor = "me"\n'), ("pyproject.toml", '[tool.strongroom]\nactor = "me"\n')],
)
def test_init_leaves_settings_alone(project, master_key, name, content):
    Path(name).write_text(content)
    assert "names this store" not in init(project, master_key)
    assert Path(name).read_text() == content
    assert len(list(Path().glob("*.toml"))) == 1


def test_init_names_no_store_that_is_not_the_directorys_own(project, master_key, tmp_path):
    init(project, master_key, "--store", f"sqlite:{tmp_path}/elsewhere.db")
    assert not Path("strongroom.toml").exists()
    (project / ".git").mkdir()
    init(project, master_key)
    assert not Path("strongroom.toml").exists(), "each developer has a database of their own"


def test_init_does_not_write_through_a_link(project, master_key, tmp_path):
    (tmp_path / "victim").write_text("precious")
    Path("strongroom.toml").symlink_to(tmp_path / "nowhere")
    done = strongroom_as(None, "init", cwd=project, environ={"SECRETS_MASTER_KEY": master_key})
    assert done.returncode == 2
    assert "strongroom.toml is a link to a file that is not there; remove it" in done.stderr
    assert not (tmp_path / "nowhere").exists()

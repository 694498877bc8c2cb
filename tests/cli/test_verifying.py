"""`verify`, `doctor` and `selftest`."""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from struct import pack
from subprocess import CompletedProcess
from urllib.parse import quote

import pytest

from strongroom import SecretsManager, drivers
from strongroom.cli import scratch, surroundings
from strongroom.cli.commands import doctor, selftest
from strongroom.engine.integrity import EncryptionReport
from strongroom.errors import StoreError
from strongroom.info import VersionInfo
from strongroom.model import SECRET
from strongroom.settings.config import Config
from strongroom.system import ways

from .conftest import VALUE, Cli


@pytest.fixture
def plant(project: Path) -> Callable[[str, bytes | None], None]:
    """Change an entry of the store below strongroom."""

    def plant(path: str, value: bytes | None) -> None:
        store = drivers.store("sqlite:secrets.db")
        with store.transaction() as tx:
            old = tx.get(path) or b""
            tx.delete(path) if value is None else tx.put(path, value or old[:-1] + bytes([old[-1] ^ 1]))
        store.close()

    return plant


def test_a_good_store_verifies(store: Cli) -> None:
    store("set", "A", stdin=VALUE)
    result = store("verify")
    assert (result.code, result.out) == (0, "")
    assert "1 secret in 1 version, 5 entries" in result.err
    assert json.loads(store("verify", "--json").out)["ok"] is True


def test_a_forged_record_exits_with_5_and_is_never_accepted(
    store: Cli, plant: Callable[[str, bytes | None], None]
) -> None:
    store("set", "A", stdin=VALUE)
    plant(SECRET + "A", b"")
    for words in (("verify",), ("verify", "--accept"), ("get", "A")):
        assert store(*words).code == 5
    result = store("verify")
    assert "'A'" in result.out
    assert "problems" in result.err


def test_a_restored_store_is_refused_until_it_is_accepted(store: Cli, project: Path) -> None:
    store("set", "A", stdin="old")
    shutil.copy("secrets.db", "backup.db")
    for turn in range(5):
        store("set", "A", stdin=f"new {turn}")
    for leftover in project.glob("secrets.db-*"):
        leftover.unlink()
    shutil.copy("backup.db", "secrets.db")
    assert store("get", "A").code == 5
    result = store("verify", "--accept")
    assert result.code == 0
    assert "accepted as it is" in result.err
    assert store("get", "A").out == "old\n"


def test_doctor_finds_nothing_wrong_with_a_new_store(store: Cli) -> None:
    result = store("doctor")
    assert result.code == 0
    assert "FAIL" not in result.out
    assert "opens the store sqlite:secrets.db" in result.out
    assert {row["state"] for row in json.loads(store("doctor", "--json").out)} <= {"ok", "warn"}


def failures(result: str) -> list[str]:
    return [line for line in result.splitlines() if line.startswith("FAIL")]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda project: (project / "master.key").chmod(0o644), "can be read by others — chmod 600 master.key"),
        (lambda project: (project / "secrets.db").chmod(0o666), "can be written by others"),
        (lambda project: project.chmod(0o777), "anybody can replace the store"),
        (lambda project: (project / "secrets.db").unlink(), "cannot be opened"),
        (lambda project: (project / "secrets.db").write_bytes(b"x" * 5000), "cannot be opened"),
        (lambda project: (project / "strongroom.toml").write_text("nonsense = 1"), "the settings are wrong"),
        (lambda project: (project / "master.key").write_text("nonsense"), "cannot be opened"),
        (lambda project: damage_log(project), "in the audit log, first: event"),
    ],
)
def test_doctor_finds_what_is_wrong(store: Cli, project: Path, harm: Callable[[Path], object], words: str) -> None:
    store("set", "A", stdin=VALUE)
    harm(project)
    result = store("doctor")
    project.chmod(0o755)
    assert result.code == 1
    assert any(words in line for line in failures(result.out)), result.out


def test_doctor_takes_a_key_that_an_access_control_list_gives_to_this_user_alone(store: Cli, project: Path) -> None:
    key = project / "master.key"
    key.chmod(0o400)
    me = os.geteuid()
    listed = ((0x01, 4, 2**32 - 1), (0x02, 4, me), (0x04, 0, 2**32 - 1), (0x10, 4, 2**32 - 1), (0x20, 0, 2**32 - 1))
    try:
        os.setxattr(key, "system.posix_acl_access", b"\x02\0\0\0" + b"".join(pack("<HHI", *entry) for entry in listed))
    except OSError as error:
        pytest.skip(f"no access control lists here: {error.strerror}")
    assert key.stat().st_mode & 0o777 == 0o440
    result = store("doctor")
    assert (result.code, failures(result.out)) == (0, [])
    assert "(mode 0440) can be read by its owner and this user only" in result.out


def damage_log(project: Path) -> None:
    log = project / "logs" / "secrets_audit.log"
    log.write_bytes(log.read_bytes().replace(b'"name":"A"', b'"name":"B"'))


def test_doctor_finds_a_forged_record(store: Cli, plant: Callable[[str, bytes | None], None]) -> None:
    store("set", "A", stdin=VALUE)
    plant(SECRET + "A", b"")
    result = store("doctor")
    assert result.code == 1
    assert any("problems in the store" in line for line in failures(result.out))


def test_doctor_warns_of_what_is_only_unwise(store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    monkeypatch.setattr(ways, "is_private_group", lambda *_: False)
    for name, url in (("STORE", "sqlite:secrets.db"), ("KEY", "file:master.key")):
        monkeypatch.setenv(f"STRONGROOM_{name}", url)
    (project / "strongroom.toml").unlink()
    project.chmod(0o775)
    (project / "secrets.db").chmod(0o644)
    result = store("doctor")
    project.chmod(0o755)
    assert result.code == 0
    warnings = "\n".join(line for line in result.out.splitlines() if line.startswith("warn"))
    for words in ("could be committed to git", "a group can replace", "can be read by others", "is beside the store"):
        assert words in warnings


def test_doctor_warns_of_a_store_that_a_group_shares(
    store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "is_private_group", lambda *_: False)
    assert store("list").code == 0
    (project / "logs").chmod(0o770)
    for name in ("secrets.db", "logs/secrets_audit.log"):
        (project / name).chmod(0o660)
    named = ("--store", "sqlite:secrets.db", "--key", "file:master.key")
    result = store("doctor", *named)
    assert result.code == 0
    warnings = "\n".join(line for line in result.out.splitlines() if line.startswith("warn"))
    for words in ("secrets.db (mode 0660) can be written by the group", "log (mode 0660) can be written by the group"):
        assert words in warnings
    monkeypatch.setattr(ways, "is_private_group", lambda *_: True)
    assert "can be written by its owner only, who is alone in its group" in store("doctor", *named).out


def test_doctor_does_not_take_a_sticky_directory_for_a_closed_one(store: Cli, project: Path) -> None:
    project.chmod(0o1777)
    found = store("doctor")
    named = store("doctor", "--store", "sqlite:secrets.db", "--key", "file:master.key")
    project.chmod(0o755)
    assert any("was found, not named" in line for line in failures(found.out))
    for result in (found, named):
        warnings = [line for line in result.out.splitlines() if line.startswith("warn")]
        assert any(f"beside the store, or on the way to it: {project} is sticky" in line for line in warnings)


def test_doctor_judges_every_directory_on_the_way(cli: Cli, project: Path) -> None:
    (project / "a" / "b").mkdir(parents=True)
    (project / "current").symlink_to("a/b")
    where = ("--store", "sqlite:current/secrets.db", "--key", "file:master.key")
    assert cli("init", "-y", *where).code == 0
    (project / "a").chmod(0o777)
    result = cli("doctor", *where)
    assert any(f"anybody can replace the store: {project}/a has mode 0777" in line for line in failures(result.out))


def test_doctor_says_what_needs_permission_and_what_has_it(store: Cli, project: Path) -> None:
    (project / "strongroom.toml").write_text('audit_keep = 3\naudit = "memory:"\n')
    result = store("doctor")
    assert result.code == 1
    for words in ("audit = 'memory:'", "audit_keep = 3: older parts of the audit log are removed"):
        assert any(words in line and "strongroom allow" in line for line in failures(result.out)), result.out
    assert "opens the store" not in result.out
    assert store("allow").code == 0
    result = store("doctor")
    assert (result.code, failures(result.out)) == (0, [])
    assert "you have allowed it: audit_keep = 3" in result.out


def test_doctor_says_which_settings_count(store: Cli, project: Path) -> None:
    (project / "strongroom.toml").unlink()
    assert "there is no file of settings" in store("doctor").out
    (project / "strongroom.toml").write_text("")
    assert "count: the file was found, not named" in store("doctor").out
    assert "the file was named" in store("doctor", "--config", "strongroom.toml").out


def test_doctor_tells_when_a_file_is_another_users(store: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Found settings of another user would not count, and nothing more would be looked at.
    (project / "strongroom.toml").unlink()
    monkeypatch.setattr(surroundings.os, "geteuid", lambda: 12345)
    if os.getuid() == 0:  # root's files are anybody's
        os.chown(project / "secrets.db", 12346, -1)
    owner = (project / "secrets.db").stat().st_uid
    result = store("doctor", "--store", "sqlite:secrets.db", "--key", "file:master.key")
    warnings = [line for line in result.out.splitlines() if line.startswith("warn")]
    assert any(f"belongs to uid {owner}" in line for line in warnings), warnings


def test_doctor_takes_a_key_that_git_ignores_and_one_that_lies_elsewhere(store: Cli, project: Path) -> None:
    (project / ".git").mkdir()
    (project / ".gitignore").write_text("master.key\n")
    (project / "keys").mkdir(mode=0o700)
    (project / "master.key").rename(project / "keys" / "master.key")
    result = store("doctor", "--key", "file:keys/master.key")
    assert "keys/master.key is in .gitignore" in result.out
    assert "is beside the store" not in result.out


def test_doctor_looks_at_no_file_where_store_and_key_are_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Config(store="memory:", key="env:SECRETS_MASTER_KEY", audit="memory:")
    assert list(surroundings.check_files(settings)) == []
    assert ["core dumps" in finding.what for finding in surroundings.check_machine(settings)] == [True]


def test_doctor_finds_a_clock_that_is_behind(store: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.time.time
    monkeypatch.setattr(doctor.time, "time", lambda: real() - 3600)
    assert any("the clock says" in line for line in failures(store("doctor").out))


@pytest.mark.parametrize(("free", "state"), [(2**30, "ok"), (50 * 2**20, "warn"), (2**20, "FAIL")])
def test_doctor_looks_at_the_free_space(project: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    class Space:
        f_bavail, f_frsize = free, 1

    monkeypatch.setattr(surroundings.os, "statvfs", lambda _: Space)
    assert surroundings._check_space(".").state == state


def test_doctor_warns_of_a_network_file_system(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "file_system_of", lambda _: "nfs4")
    states = {finding.what: finding.state for finding in surroundings.check_machine(Config(store="sqlite:a.db"))}
    assert states["the store is on a network file system (nfs4)"] == "warn"


def test_doctor_warns_of_core_dumps(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, state in ((0, "ok"), (-1, "warn")):
        monkeypatch.setattr(surroundings.process, "core_limit", lambda limit=limit: limit)
        *_, last = surroundings.check_machine(Config())
        assert last.state == state


@pytest.mark.parametrize(("url", "kind"), [("sqlite:a.db", "sqlite:"), ("file:a.enc", "file:"), ("a.enc", "file:")])
def test_the_selftest_passes_for_each_kind_of_store(cli: Cli, project: Path, url: str, kind: str) -> None:
    result = cli("selftest", "--store", url, "--key", "file:none")
    assert result.code == 0, result
    assert f"a scratch store: {kind}" in result.err
    assert [line[:4] for line in result.out.splitlines()] == ["ok  "] * 8
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("key", ["env:SOME_KEY", "passphrase:"])
def test_the_selftest_uses_the_configured_kind_of_key(cli: Cli, key: str) -> None:
    result = cli("selftest", "--key", key, "--json")
    assert result.code == 0, result
    assert len(json.loads(result.out)) == 8
    assert f"key {key.partition(':')[0]}:" in result.err


@pytest.mark.parametrize(
    ("broken", "stand_in", "failed"),
    [
        ("scratch.Scratch.files_with", lambda *_: ["store/secrets.db-wal"], [1, 4]),
        ("scratch.Scratch.other_key", lambda self: self.key, [6, 7]),
        ("scratch.Scratch.command", lambda *_: CompletedProcess([], 7, b""), [2, 3, 6, 7]),
        ("scratch._READER", scratch._READER.replace("selftest-reader", "another"), [7]),
        ("commands.selftest.seen_by", lambda *_: False, [2, 5, 7]),
        ("commands.selftest.Trial._forge", lambda self: None, [6, 7]),
    ],
)
def test_the_selftest_fails_when_a_claim_does_not_hold(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, broken: str, stand_in: object, failed: list[int]
) -> None:
    monkeypatch.setattr(f"strongroom.cli.{broken}", stand_in)
    result = cli("selftest")
    assert result.code == 1
    assert [n for n, line in enumerate(result.out.splitlines()) if line.startswith("FAIL")] == failed


@pytest.mark.parametrize(
    ("method", "answer", "failed"),
    [
        ("rotate_secret", VersionInfo(2, 0.0), [4, 7]),
        ("verify_encryption", EncryptionReport("A", 1, "fernet", 1, "primary", "", 1, False, True), [1, 7]),
    ],
)
def test_the_selftest_believes_no_method_that_only_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, method: str, answer: object, failed: list[int]
) -> None:
    monkeypatch.setattr(SecretsManager, method, lambda *_: answer)
    result = cli("selftest")
    assert [n for n, line in enumerate(result.out.splitlines()) if line.startswith("FAIL")] == failed


def test_the_selftest_goes_on_after_an_error_and_shows_no_words_of_a_fault(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: object) -> None:
        raise RuntimeError(VALUE)

    def error(self: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(selftest.Trial, "retrieved", fault)
    monkeypatch.setattr(selftest.Trial, "decrypted", error)
    result = cli("selftest")
    assert result.code == 1
    assert "unexpected RuntimeError" in result.out
    assert "the disk is full" in result.out
    assert VALUE not in result.out


@pytest.mark.parametrize(
    "spell",
    [
        bytes,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode(),
        lambda raw: quote(raw, safe="").encode(),
        *(lambda raw, n=n: b64encode(b"{" * n + raw + b"}") for n in range(4)),
        *(lambda raw, n=n: urlsafe_b64encode(b"{" * n + raw + b"}") for n in range(4)),
    ],
)
def test_a_value_on_the_disk_is_found_in_every_spelling(project: Path, spell: Callable[[bytes], bytes]) -> None:
    value = "p/ss@word:é-and-more>>>???"
    place = scratch.Scratch(str(project), Config())
    assert place.files_with(value) == []
    (project / "file").write_bytes(b"around " + spell(value.encode()) + b" it")
    assert place.files_with("another value", value) == ["file"]


def test_the_selftest_refuses_a_store_of_no_kind(cli: Cli) -> None:
    result = cli("selftest", "--store", "file")
    assert (result.code, result.out) == (2, "")
    assert "such as sqlite:secrets.db, or give a path that ends in .db or .enc" in result.err

"""The log, its files and its directory: of a stranger, under another name, gone, replaced, cut or compressed."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from strongroom.audit_sinks import file
from strongroom.audit_sinks.file import FileSink
from strongroom.errors import AuditError

from .conftest import STRANGER, VICTIM, as_user, strongroom_as, two_users


@pytest.fixture
def looks_always(monkeypatch):
    """Let writers look at the path before each line, and not once a second."""
    monkeypatch.setattr(file, "LOOK_EVERY", 0.0)


class Project:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.store = f"sqlite:{place}/store.db"
        self.folder = place / "logs"
        self.log = self.folder / "audit.log"
        with strongroom.init(self.store, audit=f"file:{self.log}") as secrets:
            for value in ("one", "two"):
                secrets.set_secret("A", value)

    def open(self, log: object = None, **more) -> strongroom.SecretsManager:
        return strongroom.open(self.store, audit=f"file:{log or self.log}", **more)

    def report(self, log: object = None):
        with self.open(log) as secrets:
            return secrets.verify_audit()


@pytest.fixture
def project(tmp_path, master_key) -> Project:
    return Project(tmp_path)


# A log that is gone, under whatever name it is looked for


def by_a_link(project: Project) -> str:
    (project.place / "link").symlink_to("logs")
    return f"{project.place}/link/audit.log"


def by_dots(project: Project) -> str:
    return f"{project.folder}/../logs/./audit.log"


def by_a_link_to_the_file(project: Project) -> str:
    (project.place / "audit-link.log").symlink_to(project.log)
    return f"{project.place}/audit-link.log"


def relatively(project: Project) -> str:
    return os.path.relpath(project.log)


def by_its_name(project: Project) -> str:
    return str(project.log)


@pytest.mark.parametrize("spell", [by_its_name, by_a_link, by_dots, by_a_link_to_the_file, relatively])
def test_a_log_that_was_removed_is_missed_under_every_spelling_of_its_name(project, spell):
    spelled = spell(project)
    assert project.report(spelled).ok
    project.log.unlink()
    with project.open(spelled) as secrets:
        secrets.get_secret("A")
        secrets.set_secret("A", "three")
        (problem,) = secrets.verify_audit().problems
    assert "was here when the store was last written, and is gone or replaced" in problem.message


@pytest.mark.parametrize("host", ["another"])
def test_a_log_that_was_removed_is_missed_when_the_host_has_another_name(project, host, monkeypatch):
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((uname[0], host, *uname[2:])))
    project.log.unlink()
    (problem,) = project.report().problems
    assert "gone or replaced" in problem.message


def test_a_log_that_was_removed_is_missed_through_another_mount(project):
    import subprocess

    there = project.place / "mounted"
    there.mkdir()
    if subprocess.run(["mount", "--bind", project.folder, there], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a directory once more")
    try:
        assert project.report(there / "audit.log").ok
        project.log.unlink()
        (problem,) = project.report(there / "audit.log").problems
    finally:
        subprocess.run(["umount", "-l", there], check=True)
    assert "gone or replaced" in problem.message


def test_the_log_of_another_place_is_a_note_still(project):
    report = project.report(project.place / "other" / "audit.log")
    assert report.ok
    assert "the store knows another log" in report.notes[0].message


# Removed, replaced or cut while a service runs


def remove(project: Project) -> None:
    project.log.unlink()


def remove_with_its_directory(project: Project) -> None:
    shutil.rmtree(project.folder)


def replace_by_an_empty_file(project: Project) -> None:
    project.log.unlink()
    project.log.touch()


def replace_by_a_new_log(project: Project) -> None:
    project.log.unlink()
    FileSink(str(project.log)).segment()


@pytest.mark.parametrize("harm", [remove, remove_with_its_directory, replace_by_an_empty_file, replace_by_a_new_log])
@pytest.mark.parametrize("writes", [True, False])
def test_a_log_that_is_removed_while_a_service_runs_is_missed(project, looks_always, harm, writes):
    with project.open() as service:
        service.get_secret("A")
        harm(project)
        service.get_secret("A")
        if writes:
            service.set_secret("A", "three")
        service.get_secret("A")
        report = service.verify_audit()
        told = service.get_audit_logs(action="AUDIT", outcome="failed")
        assert any(event["reason"] == "log_removed" for event in told)
    (problem,) = report.problems
    assert any("was deleted while process" in told for told in (problem.message, *problem.consequences))
    assert project.report().problems


def test_a_log_that_is_removed_and_written_on_by_others_is_missed(project, looks_always):
    with project.open() as first, project.open() as second:
        for secrets in (first, second):
            secrets.get_secret("A")
        project.log.unlink()
        for _ in range(3):
            for secrets in (first, second):
                secrets.get_secret("A")
        problems = first.verify_audit().problems
    assert problems
    assert all("deleted" in problem.message for problem in problems)


def to_its_header(lines: list[bytes]) -> list[bytes]:
    return lines[:1]


def to_the_half(lines: list[bytes]) -> list[bytes]:
    return lines[: len(lines) // 2]


def by_the_last_write(lines: list[bytes]) -> list[bytes]:
    return lines[:-2]


def leaving_zeros(lines: list[bytes]) -> list[bytes]:
    return [lines[0], bytes(len(b"".join(lines)) - len(lines[0]) - 1) + b"\n"]


@pytest.mark.parametrize("cut", [to_its_header, to_the_half, by_the_last_write, leaving_zeros])
@pytest.mark.parametrize("reads", [0, 30])
def test_an_end_that_was_removed_is_missed_after_others_have_written_on(tmp_path, master_key, cut, reads):
    store, log = f"sqlite:{tmp_path}/store.db", tmp_path / "audit.log"
    with strongroom.init(store, audit=f"file:{log}") as secrets:
        for number in range(4):
            secrets.set_secret("A", str(number))
    log.write_bytes(b"".join(cut(log.read_bytes().splitlines(keepends=True))))
    for value in ("next", "last"):
        with strongroom.open(store, audit=f"file:{log}") as secrets:
            for _ in range(reads):
                secrets.get_secret("A")
            secrets.set_secret("A", value)
            report = secrets.verify_audit()
            said = " ".join(problem.message for problem in report.problems)
            assert "the end of the log that the store knew was not there" in said


@pytest.mark.parametrize("copied", [True, False])
def test_a_log_that_is_cut_in_place_is_named_as_that_and_stops_no_process(project, looks_always, copied):
    with project.open() as service:
        service.get_secret("A")
        if copied:
            shutil.copy(project.log, project.folder / "audit.log.1")
        os.truncate(project.log, 0)
        for _ in range(3):
            assert service.get_secret("A") == "two"
        with project.open() as other:
            assert other.get_secret("A") == "two"
        report = service.verify_audit()
        service.set_secret("A", "three")
    (problem,) = report.problems
    assert "was cut in place" in problem.message
    assert "copytruncate" in problem.message


def test_a_process_that_begins_after_copytruncate_goes_on(project, monkeypatch):
    service = project.open()
    service.get_secret("A")
    shutil.copy(project.log, project.folder / "audit.log.1")
    os.truncate(project.log, 0)
    # The service looks once a second only: what it writes until then has no header before it.
    service.get_secret("A")
    assert project.log.read_bytes().startswith(b'{"id":"')
    with project.open() as other:
        assert other.get_secret("A") == "two"
        report = other.verify_audit()
    assert report.ok, report.problems
    assert report.segments == 2
    monkeypatch.setattr(file, "LOOK_EVERY", 0.0)
    service._access.audit.sink._look_at = 0.0
    service.set_secret("A", "three")
    assert service.verify_audit().ok
    service.close()


# Compressed segments


def compress(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def rotate_by_renaming(project: Project, name: str) -> Path:
    """Do what logrotate does, while nobody has the log open."""
    return project.log.rename(project.folder / name)


@pytest.mark.parametrize("name", ["audit.log.1", "audit.log-20260131", "audit.log.000001"])
def test_compressed_segments_are_named_and_stop_no_process(project, name):
    packed = compress(rotate_by_renaming(project, name))
    with project.open() as secrets:
        assert secrets.get_secret("A") == "two"
        secrets.set_secret("A", "three")
        report = secrets.verify_audit()
    assert report.ok, report.problems
    assert f"segments 1 to 1 are not here: compressed; decompress these to have them verified: {packed.name}" in [
        note.message for note in report.notes
    ]
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    report = project.report()
    assert (report.ok, report.segments) == (True, 2)


@pytest.mark.parametrize("ending", [".zst", ".xz", ".bz2"])
def test_segments_in_a_form_that_is_not_read_are_named_too(project, ending, looks_always):
    with project.open() as service:
        service.get_secret("A")
        old = rotate_by_renaming(project, "audit.log.1")
        service.get_secret("A")
        old.rename(f"{old}{ending}")
        (project.folder / f"audit.log.1{ending}").write_bytes(b"\x28\xb5\x2f\xfd not read")
        service.set_secret("A", "three")
        report = service.verify_audit()
    assert report.ok, report.problems
    assert any(f"audit.log.1{ending}" in note.message for note in report.notes)


def test_a_service_whose_segment_is_compressed_at_once_does_not_say_that_it_was_removed(project, looks_always):
    with project.open() as service:
        service.get_secret("A")
        compress(rotate_by_renaming(project, "audit.log.1"))
        service.get_secret("A")
        assert not service.get_audit_logs(action="AUDIT", outcome="failed")
        assert service.verify_audit().ok


# One cause, one finding


def test_what_follows_from_a_cut_is_folded_below_it(project):
    others = [project.open() for _ in range(4)]
    for secrets in others:
        secrets.get_secret("A")
    end = project.log.stat().st_size
    for secrets in others:
        secrets.get_secret("A")
    with project.open() as last:
        last.set_secret("A", "three")
    os.truncate(project.log, end)
    with project.open() as secrets:
        report = secrets.verify_audit()
    (problem,) = report.problems
    assert "is not in the log" in problem.message
    assert len(problem.consequences) >= 4


def test_what_follows_from_lines_that_were_taken_out_is_folded_below_them(project):
    for _ in range(6):
        with project.open() as secrets:
            secrets.get_secret("A")
            secrets.set_secret("A", "three")
    lines = project.log.read_bytes().splitlines(keepends=True)
    project.log.write_bytes(b"".join(lines[:4] + lines[5:]))
    (problem,) = project.report().problems
    assert "is missing" in problem.message
    assert any("bytes before this line are missing" in more for more in problem.consequences)


# Files and directories of strangers


@pytest.fixture
def victims(home: Path) -> Path:
    """A project of the victim's."""
    for command, stdin in ((("init", "--generate-key"), ""), (("set", "A"), "value")):
        done = strongroom_as(VICTIM, *command, cwd=home, stdin=stdin)
        assert done.returncode == 0, done.stderr
    return home


HEADER = b'{"strongroom_audit":1,"log":"%b","segment":%d}\n'


def his_log(log: Path, goal: Path) -> None:
    log.write_bytes(HEADER % (b"a" * 16, 1))
    log.chmod(0o666)


def a_link_to_the_victims_file(log: Path, goal: Path) -> None:
    log.symlink_to(goal)


def a_link_to_nothing(log: Path, goal: Path) -> None:
    log.symlink_to(goal.parent / "new" / "directory" / "file")


def a_fifo(log: Path, goal: Path) -> None:
    os.mkfifo(log, 0o666)


def a_device_without_end(log: Path, goal: Path) -> None:
    log.symlink_to("/dev/zero")


PLANTED = [his_log, a_link_to_the_victims_file, a_link_to_nothing, a_fifo, a_device_without_end]


@two_users
@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=["sticky", "open to all"])
def test_what_a_stranger_put_in_the_place_of_a_log_is_not_used(victims, shared, plant, mode):
    folder = shared / "logs"
    folder.mkdir()
    folder.chmod(mode)
    log, goal = folder / "audit.log", victims / "profile"
    as_user(VICTIM, lambda: goal.write_bytes(HEADER % (b"b" * 16, 1)))
    as_user(STRANGER, lambda: plant(log, goal))
    before = sorted(victims.rglob("*"))
    done = strongroom_as(VICTIM, "get", "A", "--audit", f"file:{log}", cwd=victims)
    assert (done.returncode, done.stdout) == (9, ""), done.stderr
    assert str(log) in done.stderr
    assert goal.read_bytes() == HEADER % (b"b" * 16, 1)
    assert [path for path in sorted(victims.rglob("*")) if "-shm" not in path.name and "-wal" not in path.name] == [
        path for path in before if "-shm" not in path.name and "-wal" not in path.name
    ]


@two_users
def test_a_directory_of_a_stranger_is_not_used(victims, shared):
    def plant() -> None:
        (shared / "logs").mkdir()
        (shared / "logs").chmod(0o777)

    as_user(STRANGER, plant)
    done = strongroom_as(VICTIM, "get", "A", "--audit", f"file:{shared}/logs/audit.log", cwd=victims)
    assert (done.returncode, done.stdout) == (9, "")
    assert f"the directory belongs to another user (uid {STRANGER})" in done.stderr


@two_users
def test_a_link_of_a_stranger_makes_root_make_no_directory(shared, home, tmp_path, master_key):
    (shared / "project").mkdir()
    (shared / "project").chmod(0o1777)
    goal = tmp_path / "of root"
    goal.mkdir()
    as_user(STRANGER, lambda: (shared / "project" / "logs").symlink_to(goal / "new"))
    with pytest.raises(AuditError, match=f"symbolic link of another user \\(uid {STRANGER}\\)"):
        strongroom.init(f"sqlite:{shared}/store.db", audit=f"file:{shared}/project/logs/audit.log")
    assert list(goal.iterdir()) == []


@two_users
@pytest.mark.parametrize("segment", [1, 5, 999_999_999])
def test_segments_of_a_stranger_are_neither_read_nor_counted(victims, segment):
    folder = victims / "logs"
    log = folder / "secrets_audit.log"
    folder.chmod(0o1777)
    log_id = log.read_bytes().partition(b'"log":"')[2][:16]
    for name in ("secrets_audit.log.000001", "secrets_audit.log-old"):
        as_user(STRANGER, lambda name=name: (folder / name).write_bytes(HEADER % (log_id, segment) + b"junk\n"))
        (folder / name).chmod(0o644)
    as_user(STRANGER, lambda: (folder / "secrets_audit.log.private").touch(0o600))
    environ = {"STRONGROOM_AUDIT_MAX_BYTES": "500"}
    for _ in range(3):
        done = strongroom_as(VICTIM, "get", "A", cwd=victims, environ=environ)
        assert done.returncode == 0, done.stderr
    done = strongroom_as(VICTIM, "audit", "verify", cwd=victims)
    assert done.returncode == 0, done.stdout
    assert log.read_bytes().startswith(HEADER[:30].replace(b"%b", log_id)[:29])


def no_file(path: Path) -> None:
    path.symlink_to("nothing")


def a_large_file(path: Path) -> None:
    path.write_bytes(b"x" * 100_000)
    path.chmod(0o644)


@two_users
@pytest.mark.parametrize("plant", [Path.mkdir, os.mkfifo, no_file, a_large_file])
def test_what_a_stranger_says_was_put_aside_is_passed_over(victims, plant):
    folder = victims / "logs"
    log = folder / "secrets_audit.log"
    log.rename(folder / "secrets_audit.log.000001")
    folder.chmod(0o1777)
    as_user(STRANGER, lambda: plant(folder / "secrets_audit.log.000001.cut"))
    for arguments in (("get", "A"), ("audit", "log"), ("audit", "verify")):
        done = strongroom_as(VICTIM, *arguments, cwd=victims)
        assert done.returncode == 0, done.stderr


@two_users
@pytest.mark.parametrize("name", [".secrets_audit.log.new", "secrets_audit.log.lock", "secrets_audit.log.000001"])
def test_what_a_stranger_put_beside_the_log_does_not_become_a_part_of_it(victims, name):
    folder = victims / "logs"
    log = folder / "secrets_audit.log"
    folder.chmod(0o777)
    log.unlink()

    def plant() -> None:
        (folder / name).write_bytes(HEADER % (b"c" * 16, 7))
        (folder / name).chmod(0o666)

    as_user(STRANGER, plant)
    assert strongroom_as(VICTIM, "get", "A", cwd=victims).returncode == 0
    assert log.stat().st_uid == VICTIM
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert b"c" * 16 not in log.read_bytes()


@two_users
def test_users_of_one_group_share_a_log_and_each_of_them_rolls_it_over(shared):
    folder = shared / "logs"
    folder.mkdir()
    os.chown(folder, 0, STRANGER)
    folder.chmod(0o2770)
    path = str(folder / "audit.log")

    def write(number: int) -> Callable[[], None]:
        def work() -> None:
            sink = FileSink(path, max_bytes=200)
            for n in range(number):
                sink.segment()
                sink.append(b'{"n":%d}\n' % n)

        return work

    write(1)()
    os.chown(path, 0, STRANGER)
    os.chmod(path, 0o660)
    as_user(STRANGER, write(40))
    write(40)()
    as_user(STRANGER, write(40))
    assert sum(b'"n"' in line.text for line in FileSink(path).lines()) == 121
    assert {found.stat().st_gid for found in folder.iterdir()} == {STRANGER}


@two_users
def test_root_looks_at_the_log_of_a_service(victims):
    # What root finds in a directory of another user does not count, so the settings are named.
    environ = {
        "SECRETS_MASTER_KEY": (victims / "master.key").read_text().strip(),
        "STRONGROOM_CONFIG": "strongroom.toml",
    }
    for command in (("get", "A"), ("audit", "verify"), ("audit", "log")):
        done = strongroom_as(None, *command, cwd=victims, environ=environ)
        assert done.returncode == 0, done.stderr
    assert (victims / "logs" / "secrets_audit.log").stat().st_uid == VICTIM


# What is made


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_no_umask_lets_others_into_the_directory_and_the_log(tmp_path, umask):
    before = os.umask(umask)
    try:
        sink = FileSink(str(tmp_path / "deep" / "logs" / "audit.log"), max_bytes=100)
        for number in range(10):
            sink.segment()
            sink.append(b'{"n":%d}\n' % number)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").rglob("*")}
    assert modes == {0o700, 0o600}
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def test_directories_and_segments_are_flushed_in_the_directories_that_hold_them(tmp_path, monkeypatch):
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.readlink(f"/proc/self/fd/{fd}")) or fsync(fd))
    folder = tmp_path / "deep" / "logs"
    sink = FileSink(str(folder / "audit.log"), max_bytes=100)
    sink.segment()
    assert {str(tmp_path), str(tmp_path / "deep"), str(folder), str(folder / "audit.log")} <= set(flushed)
    flushed.clear()
    for number in range(6):
        sink.segment()
        sink.append(b'{"n":%d}\n' % number)
    assert {str(folder), str(folder / "audit.log")} <= set(flushed)


def test_a_lock_file_of_older_versions_keeps_its_mode(project):
    lock = Path(f"{project.log}.lock")
    lock.touch()
    lock.chmod(0o444)
    with project.open(audit_max_bytes=1000) as secrets:
        for _ in range(10):
            secrets.get_secret("A")
        assert secrets.verify_audit().ok
    assert stat.S_IMODE(lock.stat().st_mode) == 0o444

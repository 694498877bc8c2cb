"""Programs that rotate secrets: nobody else can put another in their place, and none of our keys reaches them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading

import pytest

import strongroom
from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError

from .conftest import STRANGER, VICTIM, as_user, two_users

TELL = f"""#!{sys.executable}
import json, os, sys
json.load(sys.stdin)
print(json.dumps({{"value": "new", "cwd": os.getcwd(), "environ": dict(os.environ), "me": os.path.realpath(__file__),
                  "argv": sys.argv}}))
"""


@pytest.fixture
def program(safe_directory):
    path = safe_directory / "bin" / "rotate"
    path.parent.mkdir(mode=0o755)
    path.write_text(TELL)
    path.chmod(0o755)
    return path


def create(path):
    return drivers.rotator(f"command:{path}", None).create({"value": "old"})


# What it is given


@pytest.mark.parametrize("name", ["SECRETS_MASTER_KEY", "STRONGROOM_PASSPHRASE", "STRONGROOM_KEY", "STRONGROOM_X"])
def test_a_program_gets_no_variable_of_ours(program, monkeypatch, name):
    monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("THEIRS", "seen")
    told = create(program)
    assert (name in told["environ"], told["environ"]["THEIRS"]) == (False, "seen")
    assert "hidden" not in json.dumps(told)


def test_a_program_gets_no_key_of_any_recipient_whatever_its_variable_is_called(program, make_manager, monkeypatch):
    monkeypatch.setenv("OUR_KEY", strongroom.generate_master_key())
    monkeypatch.setenv("OTHER_KEY", strongroom.generate_master_key())
    with strongroom.init("memory:", "env:OUR_KEY", "memory:") as secrets:
        secrets.custody.add_recipient(drivers.key_provider("env:OTHER_KEY"))
        secrets.set_secret("A", {"value": "old", "environ": {}, "cwd": "", "me": "", "argv": []})
        secrets.rotation.attach("A", f"command:{program}", grace=0)
        secrets.rotation.rotate("A", wait=0)
        environ = secrets.get_data("A")["environ"]
    assert "PATH" in environ
    assert {"OUR_KEY", "OTHER_KEY", "SECRETS_MASTER_KEY"} & set(environ) == set()


def test_a_program_starts_in_the_root_directory_and_finds_itself(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('code of the working directory')")
    told = create(program)
    assert (told["cwd"], told["me"]) == ("/", str(program))


def test_a_program_inherits_no_descriptor_but_its_own(program):
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\njson.load(sys.stdin)\n"
        "links = [os.readlink('/proc/self/fd/' + each) for each in os.listdir('/proc/self/fd')"
        " if os.path.exists('/proc/self/fd/' + each)]\n"
        "print(json.dumps({'value': 'new', 'links': links}))"
    )
    with open("/etc/passwd", "rb") as file:
        os.set_inheritable(file.fileno(), True)
        told = create(program)
    assert not any("passwd" in link for link in told["links"])


# Which program it is


@pytest.mark.parametrize(
    "path", ["rotate", "./rotate", "../bin/rotate", "bin/rotate", "", "/bin/true\0", "/bin/true\n"]
)
def test_a_program_is_named_by_its_whole_path(program, monkeypatch, path):
    monkeypatch.chdir(program.parent)
    with pytest.raises(ConfigError, match="absolute path"):
        drivers.rotator(f"command:{path}", None)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
@pytest.mark.parametrize("where", ["bin/rotate", "bin", "."])
def test_what_others_can_write_to_on_the_way_is_refused_at_once_and_at_each_run(program, where, mode):
    rotator = drivers.rotator(f"command:{program}", None)
    rotator.create({"value": "old"})
    at = program.parent.parent / where
    at.chmod(mode)
    for kind, call in ((ConfigError, lambda: drivers.rotator(f"command:{program}", None)),
                       (SourceRefusedError, lambda: rotator.create({"value": "hidden"}))):  # fmt: skip
        with pytest.raises(kind, match="can be written by others") as caught:
            call()
        assert str(at) in str(caught.value)


def test_a_link_is_followed_where_its_way_is_as_safe(program, safe_directory, shared):
    link = safe_directory / "current"
    link.symlink_to("bin")
    assert create(link / "rotate")["me"] == str(program)
    shutil.copy(program, shared / "rotate")
    link.unlink()
    link.symlink_to(shared)
    with pytest.raises(ConfigError, match="can be written by others"):
        create(link / "rotate")


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "directory",
        "fifo",
        "not executable",
        "interpreter where all can write",
        "its interpreter where all can write",
        "interpreter is a fifo",
    ],
)
def test_what_is_no_program_or_is_run_by_another_is_refused(program, shared, kind):
    if kind == "interpreter where all can write":
        shutil.copy("/bin/sh", shared / "sh")
        program.write_text(f"#!{shared}/sh\necho '{{}}'\n")
    elif kind == "its interpreter where all can write":
        shutil.copy("/bin/sh", shared / "sh")
        own = program.with_name("own")
        own.write_text(f"#! \t{shared}/sh -\n")
        own.chmod(0o755)
        program.write_text(f"#!{own}\n")
    elif kind == "interpreter is a fifo":
        os.mkfifo(program.with_name("fifo"))
        program.write_text(f"#!{program.with_name('fifo')}\n")
    elif kind == "not executable":
        program.chmod(0o644)
    else:
        program.unlink()
        {"missing": str, "directory": os.mkdir, "fifo": os.mkfifo}[kind](program)
    with pytest.raises(ConfigError, match=r"cannot be used|is not run|chmod \+x"):
        create(program)


def test_the_program_that_was_checked_is_the_one_that_runs(program, monkeypatch):
    """Another one comes in its place between the check and the start: by descriptor the first one runs."""
    import subprocess

    popen = subprocess.Popen

    def swap(*arguments, **more):
        other = program.with_name("other")
        other.write_text('#!/bin/sh\necho \'{"value": "of the other"}\'\n')
        other.chmod(0o755)
        os.replace(other, program)
        return popen(*arguments, **more)

    rotator = drivers.rotator(f"command:{program}", None)
    monkeypatch.setattr(subprocess, "Popen", swap)
    told = rotator.create({"value": "old"})
    assert told["value"] == "new"


def test_a_binary_runs_by_descriptor_too(program):
    shutil.copy("/bin/cat", program)
    with pytest.raises(RotationError, match="create ended with exit code 1"):
        create(program)  # `cat create`: there is no such file in /
    program.unlink()
    program.symlink_to(shutil.which("true"))
    with pytest.raises(RotationError, match="printed no JSON"):
        create(program)


def test_no_descriptor_is_left_open(program):
    before = len(os.listdir("/proc/self/fd"))
    create(program)
    program.write_text("#!/nowhere/interpreter\n")
    for _ in range(3):
        with pytest.raises(ConfigError):
            create(program)
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() >= 1


@two_users
@pytest.mark.parametrize("what", ["the program", "its directory", "a directory above", "the link", "the interpreter"])
def test_nothing_of_a_strangers_is_run(home, program, what):
    top = home / "top"
    (top / "bin").mkdir(parents=True)
    path = top / "bin" / "rotate"
    shutil.copy(program, path)
    interpreter = home / "sh"
    shutil.copy("/bin/sh", interpreter)
    if what == "the interpreter":
        path.write_text(f"#!{interpreter}\necho '{{}}'\n")
    link = home / "link"
    link.symlink_to(path)
    for each in (top, top / "bin", path, interpreter):
        os.chown(each, VICTIM, VICTIM)
    os.chown(link, VICTIM, VICTIM, follow_symlinks=False)
    owned = {
        "the program": path, "its directory": top / "bin", "a directory above": top, "the link": link,
        "the interpreter": interpreter,
    }[what]  # fmt: skip
    os.chown(owned, STRANGER, STRANGER, follow_symlinks=False)

    def run():
        with pytest.raises(ConfigError, match=f"belongs to another user .uid {STRANGER}.") as caught:
            drivers.rotator(f"command:{link}", None)
        assert str(owned) in str(caught.value)

    drivers.rotator("generate:", None)
    with pytest.raises(ConfigError):
        drivers.rotator("command:/nowhere", None)
    as_user(VICTIM, run)

"""A program of one's own as a rotator: values on standard input, never in its arguments."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError
from strongroom.testing.rotators import RotatorSuite

from .twice import Twice

PROGRAM = f"""#!{sys.executable} -SE
import json, os, sys
request, place = json.load(sys.stdin), "PLACE"
accepted = json.load(open(place))
step = sys.argv[1]
refused = False
assert len(sys.argv) == 2
if step == "create":
    print(json.dumps({{"value": os.urandom(8).hex()}}))
elif step == "set":
    json.dump([request["pending"]["value"]], open(place, "w"))
elif step == "test":
    refused = request["pending"]["value"] not in accepted
elif step == "retire":
    json.dump([value for value in accepted if value != request["previous"]["value"]], open(place, "w"))
if os.path.exists(place + ".lose"):
    os.remove(place + ".lose")
    os.kill(os.getpid(), 9)
sys.exit(refused)
"""


@pytest.fixture
def program(tmp_path, safe_directory):
    def make(text=PROGRAM):
        path = safe_directory / "rotate"
        path.write_text(text.replace("PLACE", str(tmp_path / "accepted")))
        path.chmod(0o755)
        return path

    (tmp_path / "accepted").write_text('["first"]')
    return make


class TestCommand(RotatorSuite):
    loses = False

    @pytest.fixture
    def rotator(self, program, tmp_path):
        path = program()
        self.accepted = tmp_path / "accepted"
        rotator = drivers.rotator(f"command:{path}?keeps_previous=no", None)
        return Twice(rotator, (tmp_path / "accepted.lose").touch) if self.loses else rotator

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return data["value"] in json.loads(self.accepted.read_text())


class TestCommandThatIsKilledOnceInEachStep(TestCommand):
    loses = True


@pytest.mark.parametrize(
    ("script", "phrase"),
    [
        ("exit 3", "ended with exit code 3"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo hidden", "printed no JSON object"),
        ("echo '[]'", "printed no JSON object"),
        ("sleep 60", "did not end within 1 s"),
    ],
)
def test_a_program_that_fails_is_an_error_that_shows_nothing_of_what_it_printed(program, script, phrase):
    rotator = drivers.rotator(f"command:{program(f'#!/bin/sh{chr(10)}{script}')}?timeout=1", None)
    with pytest.raises(RotationError, match=phrase) as caught:
        rotator.create({"value": "hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o644])
def test_a_program_that_others_could_replace_is_not_run(program, mode):
    path = program()
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod"):
        drivers.rotator(f"command:{path}", None)


def test_a_program_of_another_user_is_not_run(program):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = program()
    os.chown(path, 4711, -1)
    with pytest.raises(ConfigError, match="another user"):
        drivers.rotator(f"command:{path}", None)


@pytest.mark.parametrize("rest", ["rotate", "/nowhere/rotate", "/", "/bin/sh?timeout=x", "/bin/sh?shell=1"])
def test_a_url_that_cannot_be_is_refused(rest):
    with pytest.raises(ConfigError):
        drivers.rotator(f"command:{rest}", None)


def test_bytes_are_refused(program):
    with pytest.raises(RotationError, match="bytes"):
        drivers.rotator(f"command:{program()}", None).create({"value": b"x"})


def test_what_a_program_has_started_ends_with_it(program, tmp_path):
    script = f"#!/bin/sh\n(sleep 2; touch {tmp_path}/late) &\necho '{{}}'; exec >/dev/null; sleep 60"
    with pytest.raises(RotationError, match="was killed"):
        drivers.rotator(f"command:{program(script)}?timeout=1", None).create({"value": "x"})
    # A killed process is there until the kernel has got round to it.
    deadline = time.monotonic() + 10
    while any(bytes(tmp_path) in line for line in command_lines()):
        assert time.monotonic() < deadline, "what the program has started is still running"
        time.sleep(0.01)
    assert not (tmp_path / "late").exists()


def command_lines():
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    assert lines
    return lines


@pytest.fixture
def manager(program, make_manager, tmp_path):
    """A manager whose secret `A` a program rotates that fails as the file `fails` says."""
    place = program(PROGRAM.replace("step = sys.argv[1]\n", FAULTY))
    (tmp_path / "fails").write_text("")
    manager = make_manager()
    manager.set_secret("A", "first")
    manager.rotation.attach("A", f"command:{place}?timeout=1", grace=0)
    return manager


FAULTY = """
import atexit, time
step, fault = sys.argv[1], open(os.path.dirname(place) + "/fails").read().split()
if step == "test" and request["pending"] == {"value": "first"}:
    sys.exit("first" not in json.load(open(place)))
if step in fault and "empty" in fault:
    print('{"value": ""}')
    sys.exit()
if step in fault and "raises" in fault:
    raise ValueError(str(request))
if step in fault and "hangs" in fault:
    atexit.register(time.sleep, 60)
"""


def accepted(tmp_path):
    return json.loads((tmp_path / "accepted").read_text())


@pytest.mark.parametrize(
    ("fault", "phrase"),
    [("raises", "create ended with exit code 1"), ("hangs", "did not end within 1 s"), ("empty", "an empty value")],
)
def test_a_program_that_makes_no_value_changes_nothing(manager, tmp_path, fault, phrase):
    (tmp_path / "fails").write_text(f"create {fault}")
    with pytest.raises(RotationError, match=f"nothing was changed: .*{phrase}"):
        manager.rotate_secret("A")
    assert (manager.get_secret("A"), accepted(tmp_path)) == ("first", ["first"])


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("fault", ["raises", "hangs"])
@pytest.mark.parametrize("step", ["set", "test"])
def test_a_program_that_fails_or_does_it_and_hangs_leaves_the_current_value_working(
    manager, tmp_path, step, fault, how
):
    (tmp_path / "fails").write_text(f"{step} {fault}")
    with pytest.raises(RotationError, match=rf"{step} (ended|did not end).*rotate resume A.*rotate abort A") as caught:
        manager.rotate_secret("A")
    assert "first" not in str(caught.value)
    assert manager.get_secret("A") == "first"
    assert (step, fault) == ("set", "raises") or accepted(tmp_path) == ["first"]
    (tmp_path / "fails").write_text("")
    getattr(manager.rotation, how)("A")
    assert (manager.get_secret("A") == "first") == (how == "abort")
    assert accepted(tmp_path) == [manager.get_secret("A")]

"""What is told of a rotation that fails, stops half-way, or leaves processes behind: `rotation_hook`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from .conftest import Cli

HOOK = f"""#!{sys.executable}
import json, os, sys
about = json.load(sys.stdin)
about["argv"], about["environ"] = sys.argv[1:], sorted(os.environ)
with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "told"), "a") as file:
    file.write(json.dumps(about) + "\\n")
"""
Process = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def hook(safe_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes down what it is told."""
    path = safe_directory / "hook"
    path.write_text(HOOK)
    path.chmod(0o755)
    monkeypatch.setenv("STRONGROOM_ROTATION_HOOK", f"command:{path}")
    return path


def told(hook: Path) -> list[dict]:
    place = hook.parent / "told"
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


@pytest.fixture
def attached(store: Cli, program: Path) -> Cli:
    """A secret with a rotator, due at once."""
    store("set", "A", stdin="x")
    assert store("rotate", "A", "--attach", f"command:{program}", "--every", "1s", "--grace", "1h").code == 0
    time.sleep(1.1)
    return store


def test_nothing_is_told_of_a_rotation_that_goes_well(attached: Cli, hook: Path) -> None:
    for words in (("A", "--wait", "0s"), ("retire", "A", "--force"), ("A", "--wait", "0s"), ("status",)):
        assert attached("rotate", *words).code == 0
    assert told(hook) == []


@pytest.mark.parametrize(
    ("fails", "event", "step"),
    [("create", "failed", "idle"), ("set", "unfinished", "pending"), ("test", "unfinished", "set")],
)
@pytest.mark.parametrize("how", [("--due",), ("A",)])
def test_a_failure_is_told_with_the_command_that_mends_it(
    attached: Cli, process: Process, hook: Path, project: Path, fails: str, event: str, step: str, how
) -> None:
    (project / "fails").write_text(fails)
    done = process("rotate", *how)
    assert done.returncode == 11, done.stderr
    [about] = told(hook)
    assert about["argv"] == [event]
    assert (about["event"], about["name"], about["step"], about["version"]) == (event, "A", step, 1)
    assert about["error"] == "RotationError"
    assert f" {fails} ended with exit code 1" in about["reason"]
    assert f"`strongroom rotate {'check' if event == 'failed' else 'resume'} A`" in about["advice"]
    assert abs(about["time"] - time.time()) < 60
    assert not [name for name in about["environ"] if name.startswith(("STRONGROOM", "SECRETS_MASTER"))]


def test_a_retirement_that_fails_is_told_each_time_it_is_tried(
    attached: Cli, process: Process, hook: Path, project: Path
) -> None:
    process("rotate", "A", "--wait", "0s")
    (project / "fails").write_text("retire")
    assert process("rotate", "retire", "A", "--force").returncode == 11
    assert process("rotate", "retire", "A", "--force").returncode == 11
    assert [(about["event"], about["step"], about["version"]) for about in told(hook)] == [
        ("unfinished", "promoted", 2)
    ] * 2


def test_an_interrupted_rotation_is_told(attached: Cli, hook: Path, program: Path, safe_directory: Path) -> None:
    program.write_text("#!/bin/sh\ncat >/dev/null\n[ $1 = create ] && echo '{\"value\":\"new\"}' && exit\n"
                       f"[ $1 = set ] && touch {safe_directory}/setting && exec sleep 60\nexit 0\n")  # fmt: skip
    argv = [sys.executable, "-m", "strongroom", "rotate", "A"]
    with subprocess.Popen(argv, stderr=-1, start_new_session=True) as rotating:
        deadline = time.monotonic() + 60
        while not (safe_directory / "setting").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        rotating.send_signal(signal.SIGINT)
        rotating.communicate(timeout=60)
    assert rotating.returncode == 130
    assert [(about["event"], about["error"], about["reason"]) for about in told(hook)] == [
        ("unfinished", "KeyboardInterrupt", None)
    ]


HOLD = """
import sys, time, strongroom
handle = strongroom.open(service="shop").secret("A")
handle.on_change(lambda changed: time.sleep(60))
print("holds", flush=True)
time.sleep(60)
"""


def test_a_process_that_holds_on_after_the_grace_time_is_told(
    attached: Cli, process: Process, hook: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached("rotate", "A", "--attach", f"command:{program}", "--every", "30d", "--grace", "1s")
    monkeypatch.setenv("STRONGROOM_INSTANCE", "shop-7")
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=-1, text=True) as holder:
        try:
            assert holder.stdout.readline() == "holds\n"
            assert process("rotate", "A", "--wait", "0s").returncode == 0
            time.sleep(1.1)
            assert process("rotate", "--due").returncode == 0
        finally:
            holder.kill()
    [about] = told(hook)
    assert (about["event"], about["step"], about["version"]) == ("laggards", "idle", 2)
    assert f"shop (pid {holder.pid} on shop-7, version 1 since " in about["laggards"][0]
    events = [json.loads(line) for line in attached("audit", "log", "--json").out.splitlines()]
    assert [(e["reason"], e["count"]) for e in events if e.get("reason") == "laggards"] == [("laggards", 1)]


def test_what_is_no_failure_is_not_told(attached: Cli, process: Process, hook: Path) -> None:
    """A wrong call, a rotation under way, a name that is not there."""
    process("rotate", "A", "--wait", "0s")
    for words in (("A",), ("retire", "A"), ("abort", "A"), ("A", "--cas", "7"), ("NONE",), ("resume", "NONE")):
        assert process("rotate", *words).returncode in (2, 3, 7)
    assert told(hook) == []


@pytest.mark.parametrize(
    "broken", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\nexec sleep 60\n", None], ids=["fails", "hangs", "is not there"]
)
def test_a_hook_that_fails_fails_no_rotation(
    attached: Cli, process: Process, hook: Path, project: Path, broken: str | None, monkeypatch
) -> None:
    monkeypatch.setenv("STRONGROOM_ROTATION_HOOK", f"command:{hook}?timeout=1")
    if broken is None:
        hook.unlink()
    else:
        hook.write_text(broken)
    (project / "fails").write_text("set")
    began = time.monotonic()
    done = process("rotate", "--due")
    assert time.monotonic() - began < 25
    assert done.returncode == 11
    assert b"the rotation hook failed: " in done.stderr
    assert b"rotate resume A" in done.stderr
    (project / "fails").write_text("")
    assert process("rotate", "resume", "A", "--wait", "0s").returncode == 0
    assert 'stage":"hook' in attached("audit", "log", "--json").out.replace(" ", "")


def test_a_hook_that_others_can_write_is_not_run(attached: Cli, process: Process, hook: Path, project: Path) -> None:
    hook.chmod(0o777)
    (project / "fails").write_text("set")
    done = process("rotate", "A")
    assert (done.returncode, b"is not run" in done.stderr) == (11, True)
    assert told(hook) == []


def test_a_key_in_a_variable_of_another_name_is_kept_from_the_hook(
    attached: Cli, process: Process, hook: Path, project: Path
) -> None:
    key = (project / "master.key").read_text().strip()
    (project / "fails").write_text("set")
    env = {**os.environ, "BILLING_KEY": key, "STRONGROOM_KEY": "env:BILLING_KEY"}
    assert process("rotate", "A", env=env).returncode == 11
    assert "BILLING_KEY" not in told(hook)[0]["environ"]


def test_a_webhook_is_called(attached: Cli, process: Process, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append((json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    attached("set", "alerts/key", stdin="of the receiver")
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"webhook:http://127.0.0.1:{server.server_port}/rotation#key=alerts/key"
    monkeypatch.setenv("STRONGROOM_ROTATION_HOOK", url)
    (project / "fails").write_text("set")
    assert process("rotate", "--due").returncode == 11
    server.shutdown()
    server.server_close()
    [(body, headers)] = bodies
    assert (body["event"], body["name"], body["step"]) == ("unfinished", "A", "pending")
    assert headers["Strongroom-Signature"].startswith("t=")


@pytest.mark.parametrize("value", ["/usr/bin/true", "command:true", "postgresql://x", "generate:"])
def test_what_is_no_hook_is_refused_at_once(store: Cli, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("STRONGROOM_ROTATION_HOOK", value)
    result = store("list")
    assert (result.code, "rotation_hook is command:/PATH" in result.err) == (2, True)


def test_a_hook_in_settings_that_were_found_needs_permission(
    attached: Cli, process: Process, hook: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRONGROOM_ROTATION_HOOK")
    with (project / "strongroom.toml").open("a") as settings:
        settings.write(f'\nrotation_hook = "command:{hook}"\n')
    (project / "fails").write_text("set")
    done = process("rotate", "A")
    assert done.returncode == 2
    assert f"rotation_hook = 'command:{hook}': it is run, or called, when a rotation fails".encode() in done.stderr
    assert told(hook) == []
    assert process("allow").returncode == 0
    assert process("rotate", "A").returncode == 11
    assert len(told(hook)) == 1


def test_the_path_of_a_webhook_is_not_shown(store: Cli, project: Path) -> None:
    with (project / "strongroom.toml").open("a") as settings:
        settings.write('\nrotation_hook = "webhook:https://hooks.example/T0/secret-path"\n')
    result = store("doctor")
    assert "webhook:https://hooks.example" in result.out
    assert "secret-path" not in result.out + store("list").err

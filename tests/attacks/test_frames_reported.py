"""What real reporters show of a crash, and what integrations leave in the frames of libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import strongroom
from campaign.canary import CANARY
from strongroom.crypto.master_key import parse_key
from strongroom.errors import (
    StrongroomError,
)

from . import reporter
from .hidden import Setting
from .reporter import needles, shown

ROOT = str(Path(strongroom.__file__).parent) + os.sep


@pytest.fixture
def setting(master_key):
    setting = Setting(master_key)
    yield setting
    setting.secrets.close()


def test_integrations_leave_nothing_of_a_library_that_was_handed_a_value(setting, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    from strongroom.integrations.psycopg import connection_class

    def refuse(cls, conninfo="", **given):
        held = given
        raise psycopg.OperationalError("no connection" if held else "")

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(refuse))
    with pytest.raises(psycopg.OperationalError) as caught:
        connection_class(setting.secrets, "A").connect("host=127.0.0.1", sslpassword=CANARY)
    setting.check(caught.value)


def test_keyring_and_dynaconf_show_nothing(setting):
    pytest.importorskip("keyring")
    from strongroom.integrations.keyring import StrongroomKeyring

    for password in (CANARY + "\udc80", [CANARY]):
        with pytest.raises(StrongroomError) as caught:
            StrongroomKeyring(setting.secrets).set_password("service", "user", password)
        setting.check(caught.value)
    setting.secrets.set_secret("keyring/s/u", {"a": CANARY, "b": CANARY})
    with pytest.raises(StrongroomError) as caught:
        StrongroomKeyring(setting.secrets).get_password("s", "u")
    setting.check(caught.value)


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_request_that_fails_shows_nothing_of_ours(setting, library):
    client = pytest.importorskip(library)
    module = pytest.importorskip(f"strongroom.integrations.{library}")
    handle = setting.secrets.secret("A")
    for auth in (module.Bearer(handle), module.Basic(handle, "user")):
        with pytest.raises(client.ConnectError if library == "httpx" else client.ConnectionError) as caught:
            client.get("http://127.0.0.1:9/", auth=auth)
        ours = [frame for frame in reporter.frames(caught.value) if frame.f_code.co_filename.startswith(ROOT)]
        assert ours == []
    setting.secrets.set_secret("A", {"user": CANARY})
    with pytest.raises(StrongroomError) as caught:
        client.get("http://127.0.0.1:9/", auth=module.Basic(handle))
    assert [place for place in shown(caught.value, setting.hidden) if "strongroom/" in place] == []


CRASH = """
import os, sys, strongroom
key = os.environ["SECRETS_MASTER_KEY"]; del key
def fail():
    with strongroom.init("memory:", audit="memory:") as secrets:
        secrets.set_secret("A", os.environ["CANARY"])
        secrets.set_secret("A", os.environ["CANARY"], cas=7)
"""
REPORTERS = {
    "rich": "import rich.traceback\nrich.traceback.install(show_locals=True, locals_max_length=None, "
    "locals_max_string=None, locals_hide_sunder=False, locals_hide_dunder=False, max_frames=0)\n",
    "cgitb": "import warnings; warnings.simplefilter('ignore'); import cgitb; cgitb.enable(format='text', context=9)\n",
    "every variable": "import sys, traceback\nsys.excepthook = lambda *of: print(*traceback.TracebackException("
    "*of, capture_locals=True).format(), sep='', file=sys.stderr)\n",
    "sentry": "import sys, json, sentry_sdk.utils\nsys.excepthook = lambda *of: print(json.dumps("
    "sentry_sdk.utils.event_from_exception(of, {'include_local_variables': True, 'include_source_context': True,"
    " 'max_value_length': 100000}), default=repr), file=sys.stderr)\n",
    "faulthandler": "import faulthandler\nfaulthandler.enable(all_threads=True)\n",
}


@pytest.mark.parametrize("reporter", REPORTERS)
def test_a_program_that_crashes_under_a_reporter_shows_nothing(master_key, reporter):
    if reporter in ("rich", "sentry", "cgitb"):
        pytest.importorskip({"sentry": "sentry_sdk"}.get(reporter, reporter))
    ending = "fail()\n"
    if reporter == "faulthandler":
        ending = "try:\n    fail()\nexcept strongroom.ConflictError:\n    faulthandler.dump_traceback()\n    raise\n"
    done = crash([sys.executable, "-X", "dev", "-W", "ignore", "-c", REPORTERS[reporter] + CRASH + ending], master_key)
    assert "ConflictError" in done.stdout + done.stderr
    assert seen(done, master_key) == []


def test_pytest_that_shows_variables_shows_nothing(master_key, tmp_path):
    (tmp_path / "test_it.py").write_text(CRASH + "def test_it():\n    fail()\n")
    options = ["--showlocals", "-vv", "--full-trace", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *options, "test_it.py"]
    done = crash(command, master_key, cwd=tmp_path)
    assert "ConflictError" in done.stdout
    assert seen(done, master_key) == []


def crash(command, master_key, **more):
    environ = os.environ | {"SECRETS_MASTER_KEY": master_key, "CANARY": CANARY, "COLUMNS": "300", "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False, **more)


def seen(done, master_key):
    output = (done.stdout + done.stderr).encode()
    flat = output.replace(b"\n", b"").replace(b" ", b"")
    hidden = needles(CANARY, master_key, parse_key(master_key))
    return [each for each in hidden if each in output or each.replace(b" ", b"") in flat]

"""Drivers of somebody's own: named in full, by people who may; and a key provider that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.own_drivers import PASSWORD, address

import strongroom
from strongroom import drivers
from strongroom.errors import ConfigError, KeyProviderError, NoKeyError
from strongroom.key_providers.file import create
from strongroom.settings import config as configuration

OWN = "tests.own_drivers"
STORE, KEY, LOG = f"{OWN}:Store:{address('store')}", f"{OWN}:Key:{address('key')}", f"{OWN}:Sink:{address('a.log')}"


@pytest.fixture
def place(master_key, monkeypatch, tmp_path):
    """Where the drivers keep what they keep; nothing is in the environment that could answer."""
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    monkeypatch.setenv("OWN_DRIVERS", str(tmp_path))
    create(f"{tmp_path}/key", strongroom.generate_master_key())
    return tmp_path


@pytest.fixture
def made(place):
    with strongroom.init(STORE, KEY, LOG) as secrets:
        secrets.set_secret("A", "from the store")


def test_all_four_kinds_are_named_in_full(made):
    with strongroom.open(STORE, KEY, LOG) as secrets:
        secrets.rotation.attach("A", f"{OWN}:Rotator")
        secrets.rotate_secret("A")
        assert secrets.get_secret("A") == "from the store+"
        assert repr(secrets).startswith("OpenedStore(pg://db/app")
        assert secrets.verify().ok
        assert secrets.verify_audit().ok
    assert PASSWORD not in repr(configuration.load(store=STORE).store)


@pytest.mark.parametrize(
    ("connect", "url", "told"),
    [
        (drivers.store, "no_such_module:connect", "there is no store no_such_module:.*not installed, nor on"),
        (drivers.store, f"{OWN}.nowhere:connect:x", "If tests.own_drivers.nowhere is a module: it is not installed"),
        (drivers.key_provider, f"{OWN}:nowhere", f"the module {OWN} has no such name, so it is no key provider"),
        (drivers.audit_sink, f"{OWN}:not_callable", "is a int, which cannot be called, so it is no audit sink"),
        (drivers.store, f"{OWN}:nothing", "is no store: it returns a object, which has no url, get, scan, view"),
        (drivers.key_provider, f"{OWN}:nothing", "is no key provider: it returns a object, which has no url, wrap"),
        (lambda url: drivers.rotator(url, None), f"{OWN}:nothing", "is no rotator: .* no create, set, test, retire"),
        (drivers.store, f"{OWN}:breaks:{address('x')}", r"cannot be made: ValueError at .*own_drivers.py:\d+"),
        (drivers.store, f"{OWN}:careless:{address('store')}", "its url, which messages and logs show, has a user"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said(made, connect, url, told):
    with pytest.raises(ConfigError, match=told) as caught:
        connect(url)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import no_such_library", "of the store needs no_such_library, which is not installed"),
        ("raise RuntimeError('tiger')", r"cannot be imported: RuntimeError at .*broken.py:1"),
        ("def connect(rest): pass", "broken:connect cannot be made: TypeError"),
    ],
)
def test_what_is_wrong_with_its_module_is_said(tmp_path, monkeypatch, body, told):
    (tmp_path / "broken.py").write_text(body + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(ConfigError, match=told) as caught:
        drivers.store("broken:connect:x")
    assert "tiger" not in str(caught.value)
    sys.modules.pop("broken", None)


def test_a_known_scheme_is_never_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sqlite.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert drivers.store("sqlite:x.db", create=True).url == "sqlite:x.db"


@pytest.mark.own_directory
@pytest.mark.parametrize("setting", ["store", "key", "audit"])
@pytest.mark.parametrize("name", ["trap:connect", "trap:connect:address", "a.trap:connect:x"])
def test_settings_that_were_found_name_no_code_without_permission(tmp_path, master_key, monkeypatch, setting, name):
    for file in ("trap.py", "a/trap.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("raise SystemExit('imported')\n")
    (tmp_path / "strongroom.toml").write_text(f'{setting} = "{name}"\n')
    monkeypatch.syspath_prepend(tmp_path)
    if setting == "key":
        monkeypatch.delenv("SECRETS_MASTER_KEY")
    with pytest.raises(ConfigError, match=r"needs your permission: .* may name a program of its own"):
        strongroom.open()
    with pytest.raises(ConfigError, match="needs your permission"):
        strongroom.get_secret_or_env("A")
    with pytest.raises(SystemExit, match="imported"):
        strongroom.init(config="strongroom.toml")
    from strongroom.cli import main

    assert main(["allow"]) == 0
    # Where the log alone is one's own, the store was made before.
    begin = strongroom.open if os.path.exists("secrets.db") else strongroom.init
    with pytest.raises(SystemExit, match="imported"):
        begin()


# A key provider that does not answer


@pytest.fixture
def configured(made, monkeypatch):
    """A store that `get_secret_or_env` opens, with a variable that must not answer in its place."""
    for setting, url in {"STORE": STORE, "KEY": KEY, "AUDIT": LOG}.items():
        monkeypatch.setenv(f"STRONGROOM_{setting}", url)
    monkeypatch.setenv("A", "from the environment")
    from strongroom import fallback

    fallback.reset()
    yield
    fallback.reset()


@pytest.mark.filterwarnings("error::strongroom.StrongroomWarning")
@pytest.mark.parametrize("state", ["throttled", "unreachable"])
def test_no_answer_is_no_reason_for_the_environment_to_answer(configured, monkeypatch, state):
    with monkeypatch.context() as patch:
        patch.setenv("OWN_KMS", state)
        for _ in range(2):
            with pytest.raises(KeyProviderError, match="try again later") as caught:
                strongroom.get_secret_or_env("A", default="a default")
            assert PASSWORD not in str(caught.value)
            assert not isinstance(caught.value, NoKeyError)
    assert strongroom.get_secret_or_env("A") == "from the store", "the next call tries again"


@pytest.mark.parametrize("state", ["throttled", "unreachable"])
def test_no_answer_is_on_record(made, monkeypatch, state):
    with monkeypatch.context() as patch:
        patch.setenv("OWN_KMS", state)
        with pytest.raises(KeyProviderError):
            strongroom.open(STORE, KEY, LOG)
    with strongroom.open(STORE, KEY, LOG) as secrets:
        events = secrets.get_audit_logs(action="OPEN", outcome="failed")
        assert [event["reason"] for event in events] == ["key_provider"]


@pytest.mark.parametrize("state", ["throttled", "unreachable"])
def test_a_process_that_runs_outlives_an_outage(made, monkeypatch, state):
    with strongroom.open(STORE, KEY, LOG) as secrets:
        monkeypatch.setenv("OWN_KMS", state)
        assert secrets.get_secret("A") == "from the store"
        with pytest.raises(KeyProviderError):
            secrets.custody.add_recipient(drivers.key_provider(KEY))
        assert len(secrets.custody.recipients()) == 1


@pytest.mark.parametrize("returned", [None, b"", b"x" * 31, "x" * 32, bytearray(32)])
def test_what_is_no_key_is_not_taken_for_one(made, monkeypatch, returned):
    monkeypatch.setattr("tests.own_drivers.Key.unwrap", lambda *_: returned)
    with pytest.raises(KeyProviderError, match="kms:alias/app returned no key of 32 bytes"):
        strongroom.open(STORE, KEY, LOG)


def test_the_label_in_the_header_is_the_drivers_own_url(made, place):
    with strongroom.open(STORE, KEY, LOG) as secrets:
        assert [recipient.label for recipient in secrets.custody.recipients()] == ["kms:alias/app"]
    assert PASSWORD not in (place / "store").read_text() + (place / "a.log").read_text()


def test_a_program_of_ones_own_names_them_in_variables(made):
    settings = {"STRONGROOM_STORE": STORE, "STRONGROOM_KEY": KEY, "STRONGROOM_AUDIT": LOG}
    paths = os.pathsep.join(path for path in sys.path if path)
    program = "import strongroom; print(strongroom.get_secret_or_env('A'))"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | settings | {"PYTHONPATH": paths},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.stdout, done.stderr) == ("from the store\n", "")

"""The example platform as a whole: story, files and signatures. Under load: tests/campaign/test_platform.py."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

import strongroom

EXAMPLE = Path(__file__).parents[2] / "examples" / "platform"
sys.path.insert(0, str(EXAMPLE))

pytest.importorskip("psycopg_pool", reason="the services of the example hold pools of psycopg_pool")

import postgres  # noqa: E402
from running import NAMES, SERVICES, WITH_POOLS  # noqa: E402
from shared.python import secrets_manager, signatures  # noqa: E402
from shared.python.object_store import signed_headers  # noqa: E402

pytestmark = pytest.mark.own_directory

RUN = [sys.executable, str(EXAMPLE / "run.py")]


@pytest.fixture
def scratch():
    """A directory for temporary files that PostgreSQL's user can enter too; skips where there is no PostgreSQL."""
    try:
        postgres.tool("initdb")
        pwd.getpwuid(os.geteuid())
    except postgres.NotAvailable as problem:
        pytest.skip(str(problem))
    except KeyError:
        pytest.skip("PostgreSQL does not run for a user without a line in /etc/passwd")
    with tempfile.TemporaryDirectory(prefix="strongroom-test-") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def left_behind(directory: Path) -> list[str]:
    """Return the processes that work in a directory, or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if os.readlink(process / "cwd").startswith(str(directory)) or str(directory) in command:
                found.append(command)
        except OSError:
            continue
    return found


def test_the_platform_ends_as_it_is_told(scratch):
    command = [*RUN, "--rotations", "2", "--grace", "4"]
    environment = os.environ | {"TMPDIR": str(scratch)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(r"[1-9][0-9]* requests in [0-9]+ s, 0 failed, no service restarted", done.stdout)
    assert "PostgreSQL refuses version 1" in done.stdout
    assert re.search(r"still held by diagram-service \(pid [0-9]+, stopped, version [0-9]+ since 20", done.stdout)
    assert "the chain verifies" in done.stdout
    assert "POSTGRES_PASSWORD, 6 times: pending, set, tested, promoted, retired" in done.stdout
    assert list(scratch.iterdir()) == []
    assert left_behind(scratch) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_is_interrupted_leaves_nothing_running(scratch, number, code):
    environment = os.environ | {"TMPDIR": str(scratch)}
    # A suite that runs in the background of a shell inherits an ignored SIGINT, and would pass it on.
    begin = subprocess.Popen(
        RUN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with begin as running:
        for line in running.stdout:
            if "version  2" in line:
                break
        assert len(left_behind(scratch)) > len(SERVICES)
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode == code
    assert list(scratch.iterdir()) == []
    # A killed server's children are there until the kernel has got round to them.
    deadline = time.monotonic() + 10
    while left := left_behind(scratch):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_the_three_services_with_pools_take_the_password_as_they_always_did():
    for name in WITH_POOLS:
        source = (EXAMPLE / "services" / f"{name.replace('-', '_')}.py").read_text()
        assert "from shared.python.secrets_manager import get_secret_or_env\n" in source
        assert 'get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres")' in source


def test_docker_compose_gives_all_eight_the_master_key_and_no_other_secret():
    services = yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text())["services"]
    assert set(SERVICES) <= set(services)
    for name in SERVICES:
        environment = services[name]["environment"]
        assert environment["SECRETS_MASTER_KEY"].startswith("${SECRETS_MASTER_KEY:?")
        assert not set(environment) & set(NAMES)
        assert environment["STRONGROOM_SERVICE"] == name
        assert (EXAMPLE / f"{services[name]['command'].rpartition(' ')[2].replace('.', '/')}.py").exists()
        urls = {f"{other.upper().replace('-', '_')}_URL" for other in services if other != "postgres"}
        assert urls - {"API_GATEWAY_URL"} <= set(environment)


def test_no_file_of_the_example_holds_a_secret():
    services = yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text())["services"]
    for service in services.values():
        secret = {key: value for key, value in service["environment"].items() if key in (*NAMES, "SECRETS_MASTER_KEY")}
        assert all(re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value) for value in secret.values())
    sample = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", (EXAMPLE / ".env.example").read_text()))
    assert sample["SECRETS_MASTER_KEY"] == ""
    assert not set(sample) & set(NAMES)


@pytest.fixture
def place(tmp_path, monkeypatch, master_key):
    """A directory with the example's settings, and the old secrets in the environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strongroom.toml").write_text((EXAMPLE / "strongroom.toml").read_text())
    for name in NAMES:
        monkeypatch.setenv(name, f"old {name}")
    monkeypatch.delenv("POSTGRES_USER", raising=False)
    secrets_manager.secrets.cache_clear()
    yield tmp_path
    secrets_manager.secrets.cache_clear()


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "scripts" / script)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_generated_master_key_opens_what_init_secrets_has_made(place, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", run("generate_master_key.py").stdout.strip())
    done = run("init_secrets.py")
    assert done.returncode == 0, done.stderr
    assert "old" not in done.stdout + done.stderr
    assert (place / "shared" / "secrets.db").exists()
    with strongroom.open() as secrets:
        assert {name: secrets.get_secret(name) for name in NAMES} == {name: f"old {name}" for name in NAMES}
    monkeypatch.setenv("JWT_SECRET", "new")
    again = run("init_secrets.py")
    assert again.returncode == 1
    assert "JWT_SECRET" not in again.stderr.partition("init_secrets:")[0]
    with strongroom.open() as secrets:
        assert secrets.get_secret("JWT_SECRET") == "old JWT_SECRET", "a store that has secrets is not overwritten"


def test_a_role_goes_with_its_password(place, monkeypatch):
    monkeypatch.setenv("POSTGRES_USER", "platform_a")
    assert run("init_secrets.py").returncode == 0
    with strongroom.open() as secrets:
        login = secrets.get_data("POSTGRES_PASSWORD")
        assert login == {"username": "platform_a", "value": "old POSTGRES_PASSWORD"}
        assert secrets.get_secret("POSTGRES_PASSWORD") == "old POSTGRES_PASSWORD"


def test_a_token_outlives_one_rotation_for_the_grace_time_and_no_second(place):
    run("init_secrets.py")
    key, hasty = signatures.SigningKey("JWT_SECRET", 3600), signatures.SigningKey("JWT_SECRET", 0)
    claims = {"sub": "ada", "exp": time.time() + 60}
    token = signatures.new_token(key, claims)
    assert signatures.claims_of(key, token) == signatures.claims_of(hasty, token) == claims
    secrets_manager.secrets().rotate_secret("JWT_SECRET")
    assert signatures.claims_of(key, token) == claims
    assert signatures.claims_of(hasty, token) is None, "the grace time is over"
    assert signatures.claims_of(hasty, signatures.new_token(key, claims)) == claims, (
        "new ones are signed by the new key"
    )
    secrets_manager.secrets().rotate_secret("JWT_SECRET")
    assert signatures.claims_of(key, token) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "a.b.c", "a.b.\N{SNOWMAN}", "no token", "e30.e30.e30"])
def test_what_is_no_token_of_ours_has_no_claims(place, token):
    run("init_secrets.py")
    assert signatures.claims_of(signatures.SigningKey("JWT_SECRET", 3600), token) is None


def test_a_token_that_has_expired_has_no_claims(place):
    run("init_secrets.py")
    key = signatures.SigningKey("JWT_SECRET", 3600)
    assert signatures.claims_of(key, signatures.new_token(key, {"sub": "ada", "exp": time.time() - 1})) is None


def test_requests_to_the_object_store_are_signed_as_amazon_shows_it():
    """The example `GET Bucket Lifecycle` of the documentation of Signature Version 4 for S3."""
    headers = signed_headers(
        "GET", "https://examplebucket.s3.amazonaws.com/?lifecycle=", b"", "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 1369353600,
    )  # fmt: skip
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"").hexdigest()
    assert headers["authorization"].endswith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")

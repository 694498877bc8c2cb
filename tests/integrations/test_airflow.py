"""Airflow takes connections, variables and options from a store, and no error of the store for an absence.

Airflow brings a hundred packages with bounds of their own, so it has a virtual environment of its own: `make airflow`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import strongroom

pytest.importorskip("airflow.sdk", reason="Airflow is in a virtual environment of its own: `make airflow`")

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTION = re.search(r"^```ini\n(\[secrets\]\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
ASK = """
import json
from airflow.configuration import conf
from airflow.models import Connection, Variable
import airflow.sdk

def told(ask):
    try:
        return ask()
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)

def connection(name):
    found = Connection.get_connection_from_secrets(name)
    return [found.conn_type, found.host, found.login, found.password, found.port]

answers = [
    conf.get("core", "fernet_key"),
    *(told(lambda: connection(name)) for name in ("db", "api", "missing")),
    told(lambda: Variable.get("TOKEN")),
    told(lambda: Variable.get("a//b", default_var="not here")),
    told(lambda: airflow.sdk.Connection.get("db").get_uri()),
]
# On its own descriptor, because Airflow logs to the standard output.
json.dump(answers, open(3, "w"))
"""


@pytest.fixture
def home(tmp_path, master_key, monkeypatch):
    """A directory with a store, and with Airflow's configuration as the page has it."""
    monkeypatch.chdir(tmp_path)
    strongroom.init("sqlite:secrets.db", audit="file:audit.log").close()
    options = "[core]\nfernet_key_secret = fernet_key\nload_examples = False\n"
    (tmp_path / "airflow.cfg").write_text(options + SECTION)
    return tmp_path


@pytest.fixture
def stored(home):
    with strongroom.open("sqlite:secrets.db", audit="file:audit.log") as secrets:
        yield secrets


def ask(home):
    """Return the answers that a program gets from Airflow."""
    environ = os.environ | {"AIRFLOW_HOME": str(home), "STRONGROOM_AUDIT": "file:audit.log"}
    command = ["sh", "-c", 'exec "$@" 3>answers', "sh", sys.executable, "-c", ASK]
    done = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((home / "answers").read_text())


def test_airflow_finds_connections_variables_and_options(home, stored):
    fernet_key = strongroom.generate_master_key()
    stored.set_secret("airflow/config/fernet_key", fernet_key)
    stored.set_secret("airflow/connections/db", "postgresql://app:p%2Fw@db:5432/app")
    stored.set_secret("airflow/connections/api", {"conn_type": "http", "host": "api", "password": "s", "port": 80})
    stored.set_secret("airflow/variables/TOKEN", "abc")
    assert ask(home) == [
        fernet_key,
        ["postgres", "db", "app", "p/w", 5432],
        ["http", "api", None, "s", 80],
        "AirflowNotFoundException: The conn_id `missing` isn't defined",
        "abc",
        "not here",
        "postgres://app:p%2Fw@db:5432/app",
    ]
    assert len(stored.get_audit_logs(action="GET", outcome="ok", name="airflow/connections/db")) == 2


def test_airflow_asks_no_other_backend_after_a_damaged_record(home, stored, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgresql://from:elsewhere@db/app")
    monkeypatch.setenv("AIRFLOW_VAR_TOKEN", "from elsewhere")
    stored.set_secret("airflow/config/fernet_key", strongroom.generate_master_key())
    damaged = ("airflow/connections/db", "airflow/variables/TOKEN")
    for name in damaged:
        stored.set_secret(name, "value")
    for name in damaged:
        with stored._access.engine.store.transaction() as tx:
            record = tx.get(f"secret/{name}")
            tx.put(f"secret/{name}", record[:-1] + bytes([record[-1] ^ 1]))
    _, core, _, _, variable, _, sdk = ask(home)
    for answer in (core, variable, sdk):
        assert answer.startswith("AirflowSecretsBackendAccessDenied: strongroom: ")


def test_a_prefix_of_none_leaves_that_kind_to_other_backends(make_manager):
    from strongroom.integrations.airflow import StrongroomBackend

    secrets = make_manager()
    secrets.set_secret("v/A", "1")
    secrets.set_secret("v/B", b"\xff2")
    backend = StrongroomBackend(connections_prefix=None, variables_prefix="v", config_prefix=None, secrets=secrets)
    assert (backend.get_variable("A"), backend.get_variable("C")) == ("1", None)
    assert (backend.get_connection("A"), backend.get_config("A")) == (None, None)
    assert backend.get_variable("B") == "\udcff2"

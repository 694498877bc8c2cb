"""The platform as real processes on this machine: PostgreSQL, the eight services, and two that stand outside."""

from __future__ import annotations

import json
import os
import secrets as random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import Any

import postgres

import strongroom

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICES = ("api-gateway", "auth-service", "diagram-service", "ai-service", "collaboration-service", "git-service",
            "export-service", "integration-hub")  # fmt: skip
WITH_POOLS = ("auth-service", "diagram-service", "export-service")
OUTSIDE = {"ai-provider": ("AI_API_KEY", "AI_ADMIN_KEY"), "minio": ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")}
"""What stands outside of the platform, and the secrets that it knows by itself."""
NAMES = ("POSTGRES_PASSWORD", "POSTGRES_ADMIN_PASSWORD", "JWT_SECRET", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD",
         "AI_API_KEY", "AI_ADMIN_KEY", "INTEGRATION_API_KEY", "WEBHOOK_SECRET")  # fmt: skip
PATIENCE = 60.0
"""Seconds for a process to be ready, or to end."""


class Platform:
    """Everything that runs, in a scratch directory that goes with it; `store` is the operator's manager."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.urls = {name: f"http://127.0.0.1:{postgres.free_port()}" for name in (*OUTSIDE, *SERVICES)}
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("STRONGROOM_", "SECRETS_"))
        } | {"PYTHONPATH": HERE}

    def __enter__(self) -> Platform:
        with ExitStack() as end:
            self._start(end)
            self._end = end.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def _start(self, end: ExitStack) -> None:
        self.directory = tempfile.mkdtemp(prefix="strongroom-platform-")
        end.callback(shutil.rmtree, self.directory, ignore_errors=True)
        # The world before: secrets in the environment, and a database that knows one of them.
        before = {name: random.token_urlsafe(24) for name in NAMES} | {"POSTGRES_USER": "platform_a"}
        self.server = postgres.start(before["POSTGRES_ADMIN_PASSWORD"])
        end.callback(self.server.stop)
        with open(f"{HERE}/schema.sql") as schema:
            self.server.execute(schema.read())
        self.server.execute(f"ALTER ROLE platform_a PASSWORD '{before['POSTGRES_PASSWORD']}'")
        end.callback(self._stop_processes)
        for name, known in OUTSIDE.items():
            self._spawn(name, f"outside.{name}", {variable: before[variable] for variable in known})
        self._make_store(before)
        self.store = end.enter_context(self._open())
        for name in SERVICES:
            self._spawn(name, f"services.{name}", self._places() | {"STRONGROOM_SERVICE": name})
        for name in self.urls:
            self._wait_for(name)

    def _make_store(self, before: dict[str, str]) -> None:
        shutil.copy(f"{HERE}/strongroom.toml", self.directory)
        # Named, since nothing is found below /tmp, where anybody could have put it.
        self.variables["STRONGROOM_CONFIG"] = f"{self.directory}/strongroom.toml"
        self.variables["SECRETS_MASTER_KEY"] = self.script("generate_master_key").strip()
        print(self.script("init_secrets", before), end="", flush=True)

    def _open(self) -> strongroom.SecretsManager:
        # This process is an operator: it opens the store too.
        os.environ["SECRETS_MASTER_KEY"] = self.variables["SECRETS_MASTER_KEY"]
        store, log = f"{self.directory}/shared/secrets.db", f"{self.directory}/logs/secrets_audit.log"
        return strongroom.open(f"sqlite:{store}", "env:SECRETS_MASTER_KEY", f"file:{log}", service="operator")

    def _places(self) -> dict[str, str]:
        """Return where everything is: all that a service is told besides the master key."""
        urls = {f"{name.replace('-', '_').upper()}_URL": url for name, url in self.urls.items()}
        database = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.server.port), "POSTGRES_DB": "postgres"}
        return urls | database | {"SECRETS_MASTER_KEY": self.variables["SECRETS_MASTER_KEY"]}

    def _spawn(self, name: str, module: str, variables: dict[str, str]) -> None:
        base = {key: value for key, value in self.variables.items() if key != "SECRETS_MASTER_KEY"}
        port = self.urls[name].rpartition(":")[2]
        with open(f"{self.directory}/{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module.replace("-", "_")], cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=base | variables | {"PORT": port}, start_new_session=True,
            )  # fmt: skip

    def _wait_for(self, name: str) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.processes[name].poll() is None:
            try:
                assert self.call(name, "GET", "/health")["pid"] == self.processes[name].pid
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise RuntimeError(f"{name} does not run:\n{self.log_of(name)}")

    def _stop_processes(self) -> None:
        for process in self.processes.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)  # one that is stopped could not end
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def script(self, name: str, variables: dict[str, str] | None = None) -> str:
        """Run one of the scripts, and return what it printed; raises `CalledProcessError`."""
        done = subprocess.run(
            [sys.executable, f"{HERE}/scripts/{name}.py"], cwd=self.directory, text=True, check=True,
            env=self.variables | (variables or {}), stdout=subprocess.PIPE,
        )  # fmt: skip
        return done.stdout

    def call(
        self, service: str, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None
    ) -> Any:  # fmt: skip
        """Send JSON and return the answer's; raises `HTTPError` for a status that is not 200."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.urls[service] + path, body, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers["Content-Type"] == "application/json" else content

    def restarts(self) -> list[str]:
        """Return the services that are not the processes that were started."""
        return [
            name for name in SERVICES
            if self.processes[name].poll() is not None
            or self.call(name, "GET", "/health")["pid"] != self.processes[name].pid
        ]  # fmt: skip

    def log_of(self, name: str) -> str:
        """Return what a process printed: complaints, and nothing where all is well."""
        with open(f"{self.directory}/{name}.log", errors="replace") as log:
            return log.read()

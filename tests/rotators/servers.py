"""Real MariaDB, Redis and Sentinel servers on the loopback interface, in directories of their own."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.server import free_port
from integrations.test_redis import binary

ADMIN = "admin-password"


class MariaDb:
    """A server with a general log, TLS, and the administrator `root`; `options` are further ones of its program."""

    def __init__(self, *options: str) -> None:
        install, server = program("mariadb-install-db"), program("mariadbd")
        self.directory = Path(tempfile.mkdtemp(prefix="strongroom-mariadb-"))
        self.port = free_port()
        self.log = self.directory / "general.log"
        self.authority = self.directory / "server.pem"
        make_certificate(self.directory)
        # A server that starts removes the temporary tables of others in the same directory.
        (self.directory / "tmp").mkdir()
        user = []
        if os.getuid() == 0:
            user = ["--user=nobody"]
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        common = [f"--datadir={self.directory}/data", f"--tmpdir={self.directory}/tmp", "--skip-name-resolve", *user]
        run(install, "--no-defaults", *common, "--auth-root-authentication-method=normal", "--skip-test-db")
        self.process = subprocess.Popen(
            [server, "--no-defaults", *common, f"--port={self.port}", "--bind-address=127.0.0.1",
             *(options or ["--skip-log-bin"]), f"--socket={self.directory}/socket", f"--pid-file={self.directory}/pid",
             "--general-log", f"--general-log-file={self.log}", "--innodb-flush-log-at-trx-commit=0",
             f"--ssl-cert={self.authority}", f"--ssl-key={self.directory}/server.key"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        try:
            wait_until(lambda: self.accepts("root", ""), self.process)
            self.execute(f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{ADMIN}'", password="")
            self.execute("CREATE USER app_a@'%'; CREATE USER app_b@'%'")
            self.reset()
        except BaseException:
            self.stop()
            raise

    def execute(self, statements: str, password: str = ADMIN) -> None:
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", password=password) as connection:
            for statement in statements.split(";"):
                connection.cursor().execute(statement)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return what a query of the administrator's returns."""
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", password=ADMIN) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall())

    def follow(self, primary: MariaDb) -> None:
        """Become a replica of another server, which has the same accounts; return when it runs."""
        primary.execute("RESET MASTER")
        self.execute(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='root', "
            f"MASTER_PASSWORD='{ADMIN}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; START SLAVE"
        )
        primary.execute("CREATE DATABASE followed")
        wait_until(lambda: bool(self.rows("SHOW DATABASES LIKE 'followed'")), self.process)

    def reset(self) -> None:
        """Let `app_a` have the password `first`, and `app_b` one that nobody knows."""
        unknown = os.urandom(16).hex()
        self.execute(f"ALTER USER app_a@'%' IDENTIFIED BY 'first'; ALTER USER app_b@'%' IDENTIFIED BY '{unknown}'")

    def accepts(self, user: str, password: str) -> bool:
        import pymysql

        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user=user, password=password).close()
        except pymysql.OperationalError:
            return False
        return True

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Redis:
    """A server, with an aclfile or without; `default` has the administrator's password.

    `replica_of` is the port of another server, that this one copies. `program` is another release's, `more` are lines
    for redis.conf.
    """

    def __init__(
        self, directory: Path, aclfile: bool, *, replica_of: int | None = None, program: str | None = None,
        more: str = "", port: int | None = None,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.program = program or binary()
        self.runs_as: int | None = None
        self.port = port or free_port()
        self.acl = directory / "users.acl"
        self.config = directory / "redis.conf"
        settings = f"port {self.port}\nbind 127.0.0.1\nsave ''\ndir {directory}\n{more}\n"
        if replica_of is not None:
            settings += f"replicaof 127.0.0.1 {replica_of}\nmasteruser default\nmasterauth {ADMIN}\n"
        users = f"user default on >{ADMIN} ~* &* +@all\nuser app on >first ~* +get\n"
        if aclfile:
            self.acl.write_text(users)
            settings += f"aclfile {self.acl}\n"
        else:
            settings += users
        self.config.write_text(settings)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, str(self.config)], stdout=subprocess.DEVNULL, user=self.runs_as, cwd="/"
        )
        wait_until(lambda: self.accepts("default", ADMIN) or self.accepts("app", "first"), self.process)

    def command(self, *words: str) -> object:
        import redis

        with redis.Redis(port=self.port, username="default", password=ADMIN, decode_responses=True) as connection:
            return connection.execute_command(*words)

    def accepts(self, user: str, password: str) -> bool:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=self.port, username=user, password=password, retry=once) as connection:
            try:
                connection.get("nothing")
            except (redis.AuthenticationError, redis.ConnectionError):
                return False
            except redis.ResponseError:
                pass  # logged in, at a node of a cluster that keeps other keys
        return True

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Sentinel:
    """A Redis Sentinel that watches one server under the name `cache`."""

    def __init__(self, directory: Path, primary: Redis, *, more: str = "") -> None:
        """`more` are lines for its configuration."""
        self.port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor cache 127.0.0.1 {primary.port} 1\n"
            f"sentinel auth-user cache default\nsentinel auth-pass cache {ADMIN}\n"
            f"sentinel down-after-milliseconds cache 500\nsentinel failover-timeout cache 2000\n{more}\n"
        )
        self.process = subprocess.Popen([primary.program, str(config), "--sentinel"], stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(self.port), self.process)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def redis_7() -> str:
    """Return Debian's Redis server, or skip the test."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no redis-server: install the Debian package redis-server")
    return found


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {name}: install the Debian package mariadb-server")
    return found


def run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", text=True)
    assert done.returncode == 0, done.stdout[-500:]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.02)


def make_certificate(directory: Path) -> None:
    """Write `server.key` and `server.pem`, a certificate for 127.0.0.1 that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "server.key").write_bytes(key.private_bytes(*form))
    (directory / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

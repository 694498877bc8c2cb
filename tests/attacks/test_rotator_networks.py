"""What rotators send goes to whom it is meant for: past proxies and redirects, to servers that prove who they are."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError
from strongroom.rotators import postgresql_server, servers

VALUE = "canary-of-the-network"


class Listener:
    """Takes connections on this machine, keeps what they send, and answers by `answer(bytes so far)`."""

    def __init__(self, answer=lambda received: None, greeting=b"", host="127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._answer, self._greeting = answer, greeting
        self.received, self.connections = b"", 0
        self._socket = socket.socket(family)
        self._socket.bind((host, 0))
        self._socket.listen()
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client = self._socket.accept()[0]
                self.connections += 1
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client) -> None:
        with client, suppress(OSError):
            client.settimeout(10)
            client.sendall(self._greeting)
            received = b""
            while data := client.recv(1 << 16):
                received += data
                self.received += data
                answer = self._answer(received)
                if answer is None:
                    return
                client.sendall(answer)


@pytest.fixture
def listen():
    listeners = []

    def listen(*given, **more):
        listeners.append(Listener(*given, **more))
        return listeners[-1]

    yield listen
    for each in listeners:
        each.close()


# Webhooks


@pytest.fixture
def service():
    """A service on this machine; `location` makes it answer with a redirect."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.bodies.append(json.loads(body))
            self.send_response(307 if self.server.location else 200)
            if self.server.location:
                self.send_header("Location", self.server.location)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.location = [], None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


PROXIES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]


@pytest.fixture
def proxy(listen, monkeypatch):
    """A proxy that every variable names, and that nothing is to reach."""
    proxy = listen(lambda received: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    for name in PROXIES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return proxy


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1."[:-1]])
def test_a_webhook_on_this_machine_goes_past_every_proxy(service, proxy, host):
    drivers.rotator(f"webhook:http://{host}:{service.server_port}/", None).test({"value": VALUE})
    ((step, pending),) = [(body["step"], body["pending"]) for body in service.bodies]
    assert (step, pending) == ("test", {"value": VALUE})
    assert proxy.connections == 0


def test_a_webhook_on_this_machine_by_ipv6_goes_past_every_proxy(listen, proxy):
    try:
        service = listen(lambda received: b"HTTP/1.1 204 No Content\r\n\r\n", host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    drivers.rotator(f"webhook:http://[::1]:{service.port}/", None).test({"value": VALUE})
    assert VALUE.encode() in service.received
    assert proxy.connections == 0


def test_a_webhook_elsewhere_uses_no_proxy_unless_that_was_asked_for(proxy):
    rotator = drivers.rotator("webhook:https://hooks.invalid/", None)
    with pytest.raises(RotationError, match="did not answer"):
        rotator.test({"value": VALUE})
    assert proxy.connections == 0


def test_a_proxy_that_was_asked_for_sees_no_value(listen, monkeypatch):
    proxy = listen(lambda received: b"HTTP/1.1 200 Connection established\r\n\r\n" if b"CONNECT" in received else None)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    rotator = drivers.rotator("webhook:https://hooks.invalid/#proxy=environment", None)
    with pytest.raises(RotationError, match="did not answer"):
        rotator.test({"value": VALUE})
    assert proxy.received.startswith(b"CONNECT hooks.invalid:443")
    assert VALUE.encode() not in proxy.received


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/#proxy=environment", "https://localhost/#proxy=environment", "https://x.example/#proxy=yes",
        "http://127.0.0.1.example.org/", "http://localhost.example.org/", "http://2130706433.example/",
        "http://192.168.0.1/", "http://0.0.0.0/", "http://[::]/",
    ],
)  # fmt: skip
def test_values_in_the_clear_and_through_proxies_are_for_no_other_host(url):
    with pytest.raises(ConfigError):
        drivers.rotator(f"webhook:{url}", None)


def test_a_name_server_that_says_that_localhost_is_elsewhere_gets_nothing(listen, monkeypatch):
    elsewhere = listen()
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: resolve("127.0.0.1", *more, **named))
    monkeypatch.setattr("strongroom.rotators.sending.is_local", lambda address: address != "127.0.0.1")
    with pytest.raises(RotationError, match="did not answer"):
        drivers.rotator(f"webhook:http://localhost:{elsewhere.port}/", None).test({"value": VALUE})
    assert elsewhere.received == b""


@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "file:///etc/passwd"])
def test_a_redirect_takes_no_value_elsewhere(service, listen, location):
    elsewhere = listen()
    service.location = location.format(port=elsewhere.port)
    with pytest.raises(RotationError, match="status 307"):
        drivers.rotator(f"webhook:http://127.0.0.1:{service.server_port}/", None).set({"value": VALUE}, {"value": "x"})
    assert (len(service.bodies), elsewhere.connections) == (1, 0)


# Databases


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.10", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("db.example", False), ("localhost.example", False), ("10.0.0.1", False), ("0.0.0.0", False),
        ("::ffff:10.0.0.1", False), ("127.0.0.1.example", False), ("2130706433", False), ("", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machine(host, local):
    assert servers.is_local(host) is local


def read(name):
    return {"value": VALUE}


def elsewhere(monkeypatch):
    """Let this machine count as another host, so that a listener here can play one."""
    for module in (servers, postgresql_server):
        monkeypatch.setattr(module, "is_local", lambda host: False)


URLS = {
    "postgresql": "postgresql://admin@127.0.0.1:{port}/app?role=app&admin_secret=admin",
    "mysql": "mysql://admin@127.0.0.1:{port}?user=app&admin_secret=admin",
    "redis": "redis://admin@127.0.0.1:{port}?user=app&admin_secret=admin",
}
GREETING = (
    lambda body: struct.pack("<I", len(body))[:3] + b"\0" + body
)(
    b"\x0a8.0.30\0" + struct.pack("<I", 1) + b"12345678\0" + struct.pack("<HBHH", 0xF7FF & ~0x0800, 45, 2, 0xC1FF)
    + bytes([21]) + bytes(10) + b"123456789012\0" + b"caching_sha2_password\0"
)  # fmt: skip
"""MySQL's first packet, of a server that talks no TLS."""


def without_tls(kind):
    """Return what a server of this kind, or somebody in its place, answers who talks no TLS."""
    answers = {"postgresql": b"N", "mysql": None, "redis": b"+OK\r\n"}
    return (lambda received: answers[kind]), GREETING if kind == "mysql" else b""


@pytest.mark.parametrize("kind", URLS)
def test_a_server_elsewhere_that_talks_no_tls_learns_nothing(kind, listen, monkeypatch):
    pytest.importorskip({"postgresql": "psycopg", "mysql": "pymysql"}.get(kind, kind))
    elsewhere(monkeypatch)
    answer, greeting = without_tls(kind)
    server = listen(answer, greeting)
    rotator = drivers.rotator(URLS[kind].format(port=server.port), read)
    with pytest.raises(RotationError, match=r"TLS|certificate") as caught:
        rotator.set({"value": VALUE}, {"value": VALUE})
    assert server.connections
    assert VALUE.encode() not in server.received
    assert b"admin" not in server.received
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("kind", URLS)
def test_a_server_elsewhere_whose_certificate_nobody_vouches_for_learns_nothing(kind, listen, monkeypatch, tmp_path):
    pytest.importorskip({"postgresql": "psycopg", "mysql": "pymysql"}.get(kind, kind))
    elsewhere(monkeypatch)
    with SelfSigned(tmp_path, kind) as server:
        rotator = drivers.rotator(URLS[kind].format(port=server.port), read)
        with pytest.raises(RotationError, match="certificate") as caught:
            rotator.set({"value": VALUE}, {"value": VALUE})
    assert server.refused, "it came to a handshake, and no further"
    assert VALUE not in str(caught.value)


class SelfSigned:
    """A server that talks TLS with a certificate of its own making."""

    def __init__(self, directory, kind) -> None:
        import ssl

        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate(directory))
        self.kind, self.refused, self.read = kind, False, b""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(15)
        self._socket.close()

    def _serve(self):
        self._socket.settimeout(15)
        client = self._socket.accept()[0]
        client.settimeout(10)
        with client:
            if self.kind == "postgresql":
                client.recv(8)
                client.sendall(b"S")
            elif self.kind == "mysql":
                greeting = bytearray(GREETING)
                greeting[4 + 1 + 7 + 4 + 9 + 1] |= 0x08  # CLIENT_SSL
                client.sendall(greeting)
                client.recv(36)
            try:
                with self.context.wrap_socket(client, server_side=True) as secure:
                    self.refused = secure.recv(1 << 16) == b""
            except OSError:
                self.refused = True


def certificate(directory):
    """Make a key and a certificate for 127.0.0.1; return the file of both."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = directory / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + made.public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    return path


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize(("way", "code"), [("password", 3), ("md5", 5), ("trust", 0)])
def test_whoever_answers_in_place_of_postgresql_is_told_no_password_by_another_way_than_scram(listen, way, code):
    pytest.importorskip("psycopg")
    body = struct.pack("!I", code) + (b"salt" if code == 5 else b"")

    def answer(received):
        # The requests for TLS and for encryption by Kerberos are refused.
        return b"N" if len(received) % 8 == 0 and len(received) <= 16 else message(b"R", body)

    server = listen(answer)
    rotator = drivers.rotator(URLS["postgresql"].format(port=server.port), read)
    with pytest.raises(RotationError, match=r"no connection: .*(password, ldap|MD5|asks for no password)"):
        rotator.set({"value": "x"}, {"value": "y"})
    assert VALUE.encode() not in server.received
    assert b"md5" not in server.received


def test_another_way_is_allowed_where_the_url_says_so(listen):
    pytest.importorskip("psycopg")

    def answer(received):
        if VALUE.encode() in received:
            return None
        return b"N" if len(received) % 8 == 0 and len(received) <= 16 else message(b"R", struct.pack("!I", 3))

    server = listen(answer)
    url = URLS["postgresql"].format(port=server.port) + "&require_auth=any"
    with pytest.raises(RotationError):
        drivers.rotator(url, read).set({"value": "x"}, {"value": "y"})
    assert VALUE.encode() in server.received


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog", "sha256_password"])
def test_whoever_answers_in_place_of_mysql_is_told_no_password_that_it_asks_for(listen, plugin):
    pytest.importorskip("pymysql")
    body = b"\xfe" + plugin.encode() + b"\0\x02Password: "

    def answer(received):
        return struct.pack("<I", len(body))[:3] + bytes([received[3] + 1]) + body

    server = listen(answer, GREETING.replace(b"caching_sha2_password", b"mysql_native_password"))
    rotator = drivers.rotator(URLS["mysql"].format(port=server.port), read)
    with pytest.raises(RotationError, match="asks for the password itself"):
        rotator.set({"value": "x"}, {"value": "y"})
    assert server.connections
    assert VALUE.encode() not in server.received


def test_what_the_url_says_of_trust_is_what_is_asked(monkeypatch, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    asked = []

    def connect(**given):
        asked.append(given)
        raise psycopg.OperationalError("no")

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setenv("HOME", str(tmp_path))
    for host, options in (
        ("db.example", ""), ("127.0.0.1", ""), ("db.example", "&sslmode=require"),
        ("db.example", "&sslrootcert=/ca.pem&require_auth=md5"), ("db.example", "&sslmode=disable&require_auth=any"),
    ):  # fmt: skip
        with pytest.raises(RotationError):
            drivers.rotator(f"postgresql://{host}/app?role=app{options}", read).test({"value": "x"})
    trust = [(given["sslmode"], given.get("require_auth")) for given in asked]
    scram = "scram-sha-256"
    assert trust == [
        ("verify-full", scram), ("prefer", scram), ("require", scram), ("verify-full", "md5"), ("disable", None)
    ]  # fmt: skip
    assert asked[0]["gssencmode"] == "disable"
    assert asked[0]["sslrootcert"].startswith(("/", "system"))
    assert asked[3]["sslrootcert"] == "/ca.pem"

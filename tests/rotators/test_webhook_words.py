"""What a service is told and what each of its answers means: ids, statuses, waits, and answers that are none."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from contextlib import suppress
from email.utils import formatdate

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators import statuses

from .servers import make_certificate

NEW, OLD = {"value": "new-value"}, {"value": "old-value"}
CALLS = {
    "create": lambda rotator: rotator.create(OLD),
    "set": lambda rotator: rotator.set(NEW, OLD),
    "test": lambda rotator: rotator.test(NEW),
    "retire": lambda rotator: rotator.retire(OLD, NEW),
    "discard": lambda rotator: rotator.discard(NEW, OLD),
}


class Service:
    """Answers one request after the other with the bytes that it was given; the last ones again and again."""

    def __init__(self, *answers, tls=None, drip=0.0):
        self.answers, self.requests, self._tls, self._drip = list(answers), [], tls, drip
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self):
        with suppress(OSError):
            while True:
                client = self._socket.accept()[0]
                with suppress(OSError, KeyError):  # whoever speaks TLS to us sends no length
                    self._talk(self._tls.wrap_socket(client, server_side=True) if self._tls else client)
                client.close()

    def _talk(self, client):
        with client, client.makefile("rb") as lines:
            client.settimeout(10)
            lines.readline()
            headers = {}
            while line := lines.readline().strip():
                name, _, text = line.decode("latin-1").partition(": ")
                headers[name.lower()] = text
            self.requests.append((headers, json.loads(lines.read(int(headers["content-length"])))))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if not self._drip:
                client.sendall(answer)
            for place in range(len(answer) if self._drip else 0):
                client.sendall(answer[place : place + 1])
                time.sleep(self._drip)


def answer(status, body=b"{}", **headers):
    lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def serve():
    made = []

    def serve(*answers, options="", **more):
        made.append(Service(*answers, **more))
        scheme = "https" if "tls" in more else "http"
        rotator = drivers.rotator(f"webhook:{scheme}://127.0.0.1:{made[-1].port}/hook{options}", None)
        return made[-1], rotator

    yield serve
    for service in made:
        service.close()


# What it is told


@pytest.mark.parametrize("step", CALLS)
def test_it_is_told_the_name_the_rotation_and_the_step(serve, step):
    service, rotator = serve(answer(200))
    rotator.about("db/password", "4f1a")
    CALLS[step](rotator)
    ((headers, told),) = service.requests
    assert (told["name"], told["rotation"], told["step"]) == ("db/password", "4f1a", step)
    assert headers["idempotency-key"] == f'"{told["request"]}"'


def test_a_repeat_of_create_is_the_same_request_and_the_next_rotation_is_another(serve):
    service, rotator = serve(answer(200))
    for rotation in ("first", "first", "second"):
        rotator.about("A", rotation)
        rotator.create(OLD)
    bodies = [told for _, told in service.requests]
    assert bodies[0] == bodies[1]
    assert bodies[2]["request"] != bodies[0]["request"]


@pytest.mark.parametrize("step", ["set", "test", "retire", "discard"])
def test_each_other_call_is_a_request_of_its_own_so_that_no_cache_answers_it(serve, step):
    service, rotator = serve(answer(200))
    rotator.about("A", "first")
    for _ in range(3):
        CALLS[step](rotator)
    assert len({told["request"] for _, told in service.requests}) == 3
    assert {told["rotation"] for _, told in service.requests} == {"first"}


def test_without_a_rotation_no_two_requests_are_the_same(serve):
    service, rotator = serve(answer(200))
    for _ in range(2):
        rotator.create(OLD)
    assert len({told["request"] for _, told in service.requests}) == 2


# Statuses


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize(
    ("status", "words", "is_definite"),
    [
        (400, "does not understand", True), (401, "signature", True), (403, "not let us", True),
        (404, "no such address", True), (405, "no POST", True), (408, "in time", True), (409, "another one", True),
        (410, "is gone", True), (413, "too large", True), (418, "its log says why", True), (422, "the value", True),
        (429, "left alone.*try again later", True), (307, "has moved", True), (308, "has moved", True),
        (501, "this step", True), (301, "has moved", False), (302, "has moved", False), (303, "has moved", False),
        (304, "its log", False), (500, "its log", False), (502, "got no answer", False), (504, "in vain", False),
        (503, "cannot answer now; try again later", False), (599, "its log", False),
    ],
)  # fmt: skip
def test_a_status_says_whether_something_may_have_changed(serve, step, status, words, is_definite):
    service, rotator = serve(answer(status, Location="/elsewhere"))
    if (step, status) in {("retire", 410), *(("discard", known) for known in (404, 405, 410, 501))}:
        CALLS[step](rotator)
        return
    with pytest.raises(RotationError, match=f"answered {step} with status {status}; .*{words}") as caught:
        CALLS[step](rotator)
    assert isinstance(caught.value, SourceRefusedError) == is_definite
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("step", ["set", "test", "retire", "discard"])
def test_any_of_the_200s_is_a_yes(serve, step, status):
    _, rotator = serve(answer(status, b"" if status == 204 else b"done"))
    CALLS[step](rotator)


# Waits


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("strongroom.rotators.webhook._SHORTEST_WAIT", 0.05)


@pytest.mark.parametrize("when", ["0", "the past", "now"])
@pytest.mark.parametrize("status", [409, 425, 429, 503])
def test_it_is_asked_the_same_again_when_it_says_when(serve, quick, status, when):
    dates = {"the past": formatdate(5, usegmt=True), "now": formatdate(time.time() + 0.5, usegmt=True)}
    service, rotator = serve(answer(status, Retry_After=dates.get(when, when)), answer(200, b'{"value": "n"}'))
    rotator.set(NEW, OLD)
    first, second = (told for _, told in service.requests)
    assert first == second


@pytest.mark.parametrize("when", ["3600", "30", "26", "in hours", "Sat, 28-Nov-65 04:00:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_too_long_is_said_at_once(serve, status, when):
    when = formatdate(time.time() + 9999, usegmt=True) if when == "in hours" else when
    service, rotator = serve(answer(status, Retry_After=when))
    began = time.monotonic()
    with pytest.raises(RotationError, match=r"try again (at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC|later)") as caught:
        rotator.set(NEW, OLD)
    assert time.monotonic() - began < 10
    assert isinstance(caught.value, SourceRefusedError) == (status == 429)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "when",
    [
        "", "-1", "-99999", "1.5", "abc", "9" * 30, "9" * 5000, "99999999999", "١٢", "0x10", "1e3", "inf", "nan",
        "Sat, 99 Nov 2026 99:99:99 GMT", "Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +9999", "()", ",",
        "1, 2",
    ],
)  # fmt: skip
def test_what_is_no_time_is_no_wait(when):
    assert statuses.wait_for(429, when, time.time()) in (None, 0.0)


@pytest.mark.parametrize("status", [200, 400, 404, 410, 500, 502])
def test_only_some_answers_are_a_wait(status):
    assert statuses.wait_for(status, "1", 0.0) is None


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_dates_of_http_are_read(text):
    assert statuses.wait_for(429, text, 784111777 - 60.0) == 60.0


def test_it_is_not_asked_without_end(serve, quick):
    service, rotator = serve(answer(429, Retry_After="0"), options="#timeout=1")
    with pytest.raises(SourceRefusedError, match="try again at"):
        rotator.set(NEW, OLD)
    assert 1 < len(service.requests) < 25


def test_a_no_after_an_answer_that_may_have_done_it_is_not_definite(serve, quick):
    _, rotator = serve(answer(503, Retry_After="0"), answer(409))
    with pytest.raises(RotationError, match=r"status 409.*it may have done it before that") as caught:
        rotator.set(NEW, OLD)
    assert not isinstance(caught.value, SourceRefusedError)


def test_a_no_after_another_no_is(serve, quick):
    _, rotator = serve(answer(429, Retry_After="0"), answer(422))
    with pytest.raises(SourceRefusedError, match="status 422"):
        rotator.set(NEW, OLD)


# Answers that are none


def page(text):
    return answer(200, text, Content_Type="text/html")


CUT = answer(200, b'{"value": ', Content_Length=400)
STRANGE = {
    "cut": CUT, "chunks cut": answer(200, b"ff\r\n{", Transfer_Encoding="chunked", Content_Length=""),
    "no answer": b"", "garbage": b"\x00\xff\x16\x03", "half a line": b"HTTP/1.1 20",
    "no status": b"HTTP/1.1 abc\r\n\r\n",
    "long line": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "page": page(b" \n<!DOCTYPE html><title>Log in"),
    "other page": page(b"<HTML>blocked"),
    "page in gzip": answer(200, gzip.compress(b"<html>"), Content_Encoding="gzip"),
}  # fmt: skip


@pytest.mark.parametrize("step", ["create", "set", "test", "retire", "discard"])
@pytest.mark.parametrize("name", STRANGE)
def test_an_answer_that_is_none_may_have_come_after_a_change(serve, name, step):
    _, rotator = serve(STRANGE[name])
    with pytest.raises(RotationError) as caught:
        CALLS[step](rotator)
    assert not isinstance(caught.value, SourceRefusedError)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"value": "n"}', {}), (b'{"value": "n"}', {"Content_Type": "text/html"}),
        (gzip.compress(b'{"value": "n"}'), {"Content_Encoding": "gzip"}),
        (zlib.compress(b'{"value": "n"}'), {"Content_Encoding": "deflate"}),
        (b"6\r\n{\"valu\r\n8\r\ne\": \"n\"}\r\n0\r\n\r\n", {"Transfer_Encoding": "chunked", "Content_Length": ""}),
    ],
    ids=["plain", "of another type", "gzip", "deflate", "chunks"],
)  # fmt: skip
def test_the_fields_of_create_are_read_from_whatever_holds_them(serve, content, headers):
    if headers.get("Content_Length") == "":
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + content
        _, rotator = serve(raw)
    else:
        _, rotator = serve(answer(200, content, **headers))
    assert rotator.create(OLD) == {"value": "n"}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"value": "' + b"x" * (1 << 20) + b'"}', {}),
        (gzip.compress(b" " * 50_000_000), {"Content_Encoding": "gzip"}),
        (b"not gzip", {"Content_Encoding": "gzip"}), (b"{}", {"Content_Encoding": "br"}),
        (gzip.compress(b'{"value": "n"}'), {}), (b"", {}), (b"[]", {}), (b"[" * 100_000, {}), (b'"text"', {}),
    ],
    ids=["long", "bomb", "no gzip", "brotli", "unsaid", "empty", "list", "deep", "text"],
)  # fmt: skip
def test_what_holds_no_fields_is_an_error_of_create_and_not_of_the_other_steps(serve, content, headers):
    _, rotator = serve(answer(200, content, **headers))
    with pytest.raises(RotationError, match="create"):
        rotator.create(OLD)
    rotator.set(NEW, OLD)


@pytest.mark.parametrize("where", ["headers", "body"])
def test_an_answer_that_drips_has_no_more_than_the_time_of_the_step(serve, where):
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b" " * 4000
    _, rotator = serve(
        body if where == "body" else b"HTTP/1.1 200 OK\r\nX: " + b"y" * 4000, drip=0.1, options="#timeout=1"
    )
    with pytest.raises(RotationError, match=r"did not answer set .*may have done it"):
        rotator.set(NEW, OLD)


def test_a_request_ends_when_it_is_stopped(serve):
    _, rotator = serve(answer(200), drip=1)
    threading.Timer(0.3, rotator.stop).start()
    with pytest.raises(RotationError, match="was stopped"):
        rotator.set(NEW, OLD)


def test_a_wait_ends_when_it_is_stopped(serve):
    service, rotator = serve(answer(429, Retry_After="20"))
    threading.Timer(0.3, rotator.stop).start()
    with pytest.raises(RotationError, match="was stopped"):
        rotator.set(NEW, OLD)
    service.answers[:] = [answer(200)]
    rotator.set(OLD, NEW)


# Who it is


@pytest.fixture
def tls(tmp_path):
    def context(name="mine"):
        directory = tmp_path / name
        directory.mkdir()
        make_certificate(directory)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(directory / "server.pem", directory / "server.key")
        return made, directory / "server.pem"

    return context


def test_a_service_whose_authority_is_named_is_believed(serve, tls):
    context, authority = tls()
    service, rotator = serve(answer(200), tls=context, options=f"#tls={authority}")
    rotator.set(NEW, OLD)
    assert len(service.requests) == 1


@pytest.mark.parametrize("authority", ["system", "another", "another name"])
def test_a_stranger_is_told_nothing_and_nothing_was_changed(serve, tls, authority):
    context, mine = tls()
    options = {"system": "", "another": f"#tls={tls('another')[1]}", "another name": f"#tls={mine}"}[authority]
    service, rotator = serve(answer(200), tls=context, options=options)
    if authority == "another name":
        rotator = drivers.rotator(f"webhook:https://localhost:{service.port}/{options}", None)
    with pytest.raises(SourceRefusedError, match=r"certificate.*Nothing was sent"):
        rotator.set(NEW, OLD)
    assert service.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/", "nothing listens"), ("https://127.0.0.1:1/", "nothing listens"),
        ("https://nowhere.invalid/", "name is not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_reached_has_changed_nothing(url, words):
    with pytest.raises(SourceRefusedError, match=rf"{words}.*\. Nothing was sent"):
        drivers.rotator(f"webhook:{url}", None).set(NEW, OLD)


def test_a_service_that_speaks_no_tls_was_sent_nothing(serve):
    service, _ = serve(answer(200))
    with pytest.raises(SourceRefusedError, match="Nothing was sent"):
        drivers.rotator(f"webhook:https://127.0.0.1:{service.port}/#timeout=1", None).set(NEW, OLD)


def test_nothing_is_sent_when_the_key_that_signs_cannot_be_read(serve):
    def read(name):
        raise RotationError(f"there is no secret {name!r}")

    service, _ = serve(answer(200))
    rotator = drivers.rotator(f"webhook:http://127.0.0.1:{service.port}/#key=k", read)
    with pytest.raises(SourceRefusedError, match="no secret 'k'"):
        rotator.set(NEW, OLD)
    assert service.requests == []


@pytest.mark.parametrize(
    "option", ["timeout=0", "timeout=x", "timeout=99999", "tls=no", "tls=/nowhere.pem", "timeout=²"]
)
def test_an_option_that_cannot_be_is_refused(option):
    with pytest.raises(ConfigError):
        drivers.rotator(f"webhook:https://hooks.example/#{option}", None)


def test_the_time_of_a_step_is_what_was_asked_for():
    assert drivers.rotator("webhook:https://hooks.example/#timeout=60", None).timeout > 60

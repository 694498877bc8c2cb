"""A service as a rotator, with a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.testing.rotators import RotatorSuite

from .twice import Twice

KEY = b"signing key"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body))
        request, accepted, answer = json.loads(body), self.server.accepted, {}
        step = request["step"]
        status = self.server.statuses.get(step, self.server.status)
        if step == "test" and request["pending"]["value"] == "first" in accepted:
            status = self.server.status  # the look at the value that is valid already goes well
        if step == "create":
            answer = self.server.made or {"value": os.urandom(8).hex()}
        elif step == "set":
            accepted[:] = [request["pending"]["value"]]
        elif step == "test" and request["pending"]["value"] not in accepted:
            status = 409
        elif step == "retire" and request["previous"]["value"] in accepted:
            accepted.remove(request["previous"]["value"])
        if self.server.lose:
            self.server.lose, status = 0, "cut"
        if status == "silent":
            self.server.woken.wait(20)
        if status in ("silent", "cut"):
            # It was done, and nobody is told.
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode() if self.server.answers else b"hidden")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.accepted, server.requests, server.status, server.answers = ["first"], [], 200, True
    server.lose, server.statuses, server.made, server.woken = 0, {}, None, threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.woken.set()
    server.shutdown()
    thread.join()
    server.server_close()


def read(name):
    assert name == "hooks/key"
    return {"value": KEY}


def connect(server, more=""):
    return drivers.rotator(f"webhook:http://127.0.0.1:{server.server_port}/rotate#key=hooks/key{more}", read)


class TestWebhook(RotatorSuite):
    # Its service accepts one value at a time.
    loses = False

    @pytest.fixture
    def rotator(self, server):
        self.server = server
        rotator = connect(server, "&keeps_previous=no")
        return Twice(rotator, lambda: setattr(server, "lose", 1)) if self.loses else rotator

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return data["value"] in self.server.accepted


class TestWebhookWhoseFirstAnswersAreLost(TestWebhook):
    loses = True


def test_the_body_is_signed_together_with_the_time(server):
    connect(server).set({"value": "new"}, {"value": "old"})
    ((path, headers, body),) = server.requests
    stamp, signature = (part[2:] for part in headers["Strongroom-Signature"].replace("v1=", "v=").split(","))
    assert path == "/rotate"
    assert signature == hmac.digest(KEY, stamp.encode() + b"." + body, hashlib.sha256).hex()
    told = json.loads(body)
    assert headers["Idempotency-Key"] == f'"{told.pop("request")}"'
    assert told == {
        "rotation": "", "name": "", "step": "set", "pending": {"value": "new"}, "current": {"value": "old"}
    }  # fmt: skip


@pytest.mark.parametrize("status", [500, 503, 404, 302, 307])
def test_any_other_status_is_an_error_and_a_redirect_is_not_followed(server, status):
    server.status = status
    with pytest.raises(RotationError, match=f"answered set with status {status}"):
        connect(server).set({"value": "hidden"}, {"value": "first"})
    assert len(server.requests) == 1


def test_an_answer_that_is_no_mapping_is_an_error_that_does_not_show_it(server):
    server.answers = False
    with pytest.raises(RotationError, match="JSON object") as caught:
        connect(server).create({"value": "first"})
    assert "hidden" not in str(caught.value)


def test_a_service_that_does_not_answer_is_an_error(server):
    rotator = drivers.rotator("webhook:http://127.0.0.1:1/", read)
    with pytest.raises(RotationError, match=r"127.0.0.1:1 did not answer test \(ConnectionRefusedError\)"):
        rotator.test({"value": "x"})


@pytest.mark.parametrize(
    "rest",
    [
        "http://example.org/", "https://user:hidden@example.org/", "ftp://example.org/", "example.org", "",
        "https://[::1", "https://example.org/#secret=x",
    ],
)  # fmt: skip
def test_a_url_that_would_send_values_in_the_clear_is_refused(rest):
    with pytest.raises(ConfigError) as caught:
        drivers.rotator(f"webhook:{rest}", read)
    assert "hidden" not in str(caught.value)


@pytest.fixture
def manager(server, make_manager):
    manager = make_manager()
    manager.set_secrets({"A": "first", "hooks/key": "k"})
    manager.rotation.attach("A", f"webhook:http://127.0.0.1:{server.server_port}/rotate#key=hooks/key", grace=0)
    return manager


def test_a_webhook_that_answers_500_before_it_has_a_value_changes_nothing(server, manager):
    server.statuses["create"] = 500
    with pytest.raises(RotationError, match=r"nothing was changed: 127.0.0.1:.* answered create with status 500"):
        manager.rotate_secret("A")
    assert (manager.get_secret("A"), server.accepted) == ("first", ["first"])


@pytest.mark.parametrize("made", [{"value": ""}, {"value": None}, {"value": "first"}])
def test_a_webhook_that_makes_no_new_value_changes_nothing(server, manager, made):
    server.made = made
    with pytest.raises(RotationError, match=r"nothing was changed: create\(\) returned"):
        manager.rotate_secret("A")
    assert (manager.get_secret("A"), server.accepted) == ("first", ["first"])


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("failure", [500, "cut", "silent"])
@pytest.mark.parametrize("step", ["set", "test"])
def test_a_webhook_that_fails_or_does_it_and_does_not_answer_leaves_the_current_value_working(
    server, manager, step, failure, how, monkeypatch
):
    monkeypatch.setattr("strongroom.rotators.webhook.TIMEOUT", 0.3)
    server.statuses[step] = failure
    phrase = "answered" if failure == 500 else "did not answer"
    with pytest.raises(RotationError, match=f"{phrase} {step}.*rotate resume A.*rotate abort A"):
        manager.rotate_secret("A")
    assert manager.get_secret("A") == "first"
    assert "first" in server.accepted
    server.statuses.clear()
    getattr(manager.rotation, how)("A")
    assert (manager.get_secret("A") == "first") == (how == "abort")
    assert server.accepted == [manager.get_secret("A")]


def test_a_webhook_that_cannot_retire_leaves_the_new_value_working(server, manager):
    server.statuses["retire"] = 500
    with pytest.raises(RotationError, match=r"The new value is current.*rotate resume A"):
        manager.rotate_secret("A")
    assert manager.get_secret("A") in server.accepted
    server.statuses.clear()
    manager.rotation.resume("A")
    assert server.accepted == [manager.get_secret("A")]


@pytest.mark.parametrize(("status", "said"), [(401, "signature"), (409, "another one"), (422, "refuses the value"),
                                              (429, "left alone"), (404, "no such address")])  # fmt: skip
def test_a_definite_no_ends_the_rotation_with_nothing_changed(server, manager, status, said):
    server.statuses["set"] = status
    server.requests.clear()
    with pytest.raises(SourceRefusedError, match=f"'A' was not rotated, and nothing was changed: .*{said}"):
        manager.rotate_secret("A")
    assert [json.loads(body)["step"] for _, _, body in server.requests] == ["test", "create", "set", "discard"]
    assert manager.rotation.status("A")[0].step == "idle"


def test_a_previous_value_that_is_gone_is_retired(server, manager):
    server.statuses["retire"] = 410
    manager.rotate_secret("A")
    assert manager.rotation.status("A")[0].step == "idle"


def test_a_value_of_bytes_is_not_sent(server):
    with pytest.raises(RotationError, match="bytes cannot be sent as JSON"):
        connect(server).set({"value": b"\xff"}, {"value": "first"})
    assert server.requests == []


@pytest.mark.parametrize("key", [{"value": ""}, {"value": 3}, {"user": "u", "password": "hidden"}])
def test_nothing_is_sent_that_cannot_be_signed(server, key):
    rotator = drivers.rotator(f"webhook:http://127.0.0.1:{server.server_port}/#key=hooks/key", lambda name: key)
    with pytest.raises(RotationError, match="signs webhooks is no plain value") as caught:
        rotator.test({"value": "first"})
    assert "hidden" not in str(caught.value)
    assert server.requests == []

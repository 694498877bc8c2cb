"""The example of a receiver: it obeys who signs, once, and nobody else."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rotators.twice import Twice
from strongroom import drivers
from strongroom.crypto.hmac import sign
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.testing.rotators import RotatorSuite

PROGRAM = Path(__file__).parents[2] / "examples" / "webhook_receiver" / "receiver.py"
KEY = b"the signing key"


def load():
    spec = importlib.util.spec_from_file_location("example_receiver", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


receiver_module = load()


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Clock()


@pytest.fixture
def receiver(tmp_path, wall):
    made = receiver_module.Receiver(str(tmp_path / "keys.db"), KEY, wall)
    made.keys.set({"pending": {"value": "first"}, "current": {"value": "first"}})
    return made


@pytest.fixture
def service(receiver):
    """The receiver over HTTP; `lose` is how many answers are lost after the step was done."""
    server = receiver_module.serve(receiver, 0)
    server.lose = 0

    class Losing(receiver_module.Handler):
        def _send(self, status, answer):
            if self.server.lose:
                self.server.lose -= 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            super()._send(status, answer)

        def log_message(self, *_):
            pass

    server.RequestHandlerClass = Losing
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rotator(service, wall):
    made = drivers.rotator(f"webhook:http://127.0.0.1:{service.server_port}/#key=k", lambda name: {"value": KEY})
    made._clock = wall
    return made


class TestReceiver(RotatorSuite):
    loses = False

    @pytest.fixture
    def rotator(self, rotator, service, receiver):
        self.keys = receiver.keys
        return Twice(rotator, lambda: setattr(service, "lose", 1)) if self.loses else rotator

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return self.keys.accepts(data["value"])


class TestReceiverWhoseFirstAnswersAreLost(TestReceiver):
    loses = True


# Lost answers: each step is done, and asked again.


def test_a_key_whose_answer_was_lost_is_handed_out_again_and_another_rotation_gets_another(service, rotator):
    rotator.about("A", "one")
    service.lose = 1
    with pytest.raises(RotationError, match="may have done it"):
        rotator.create({"value": "first"})
    made = rotator.create({"value": "first"})
    assert rotator.create({"value": "first"}) == made
    rotator.about("A", "two")
    assert rotator.create({"value": "first"}) != made


@pytest.mark.parametrize("step", ["set", "test", "retire", "discard"])
def test_a_step_whose_answer_was_lost_can_be_asked_again(service, rotator, receiver, step):
    rotator.about("A", "one")
    current = {"value": "first"}
    made = rotator.create(current)
    calls = {
        "set": lambda: rotator.set(made, current),
        "test": lambda: rotator.test(made),
        "retire": lambda: rotator.retire(current, made),
        "discard": lambda: rotator.discard(made, current),
    }
    if step in ("test", "retire"):
        calls["set"]()
    service.lose = 1
    with pytest.raises(RotationError, match="may have done it"):
        calls[step]()
    calls[step]()
    accepted = [receiver.keys.accepts(data["value"]) for data in (current, made)]
    assert accepted == {"retire": [False, True], "discard": [True, False]}.get(step, [True, True])


def test_a_value_that_was_set_put_back_and_set_again_is_accepted(rotator, receiver):
    rotator.about("A", "one")
    current = {"value": "first"}
    made = rotator.create(current)
    rotator.set(made, current)
    rotator.set(current, made)
    rotator.retire(made, current)
    assert not receiver.keys.accepts(made["value"])
    rotator.set(made, current)
    assert receiver.keys.accepts(made["value"])


def test_a_key_that_no_rotation_uses_is_removed(rotator, receiver):
    rotator.about("A", "one")
    made = rotator.create({"value": "first"})
    for _ in range(2):
        rotator.discard(made, {"value": "first"})
    assert receiver._database.execute("SELECT count(*) FROM keys").fetchone() == (1,)


def test_no_key_is_kept_in_the_clear_once_it_is_in_use(rotator, tmp_path):
    rotator.about("A", "one")
    made = rotator.create({"value": "first"})
    rotator.set(made, {"value": "first"})
    rows = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert b"first" not in rows
    with pytest.raises(SourceRefusedError, match="409"):
        rotator.create({"value": "first"})


def test_the_current_key_is_never_retired(rotator, receiver):
    with pytest.raises(SourceRefusedError, match="422"):
        rotator.retire({"value": "first"}, {"value": "first"})
    assert receiver.keys.accepts("first")


# Who signs


def body_of(step="set", request="r-1", **data):
    told = {"request": request, "rotation": "r", "name": "A", "step": step}
    data = data or {"pending": {"value": "new"}, "current": {"value": "first"}}
    return json.dumps({**told, **data}).encode()


def signed(body, now, key=KEY):
    stamp = str(int(now))
    return f"t={stamp},v1={sign(key, stamp.encode() + b'.' + body)}"


@pytest.mark.parametrize("age", [0, 299, -299])
def test_a_request_that_is_signed_is_obeyed(receiver, wall, age):
    body = body_of()
    assert receiver.answer(signed(body, wall.now - age), body) == (200, {})
    assert receiver.keys.accepts("new")


@pytest.mark.parametrize("age", [302, 3600, 86400 * 365, -302, -86400])
def test_a_request_of_another_time_is_not(receiver, wall, age):
    body = body_of()
    status, answer = receiver.answer(signed(body, wall.now - age), body)
    assert (status, "too old" in answer["error"]) == (401, True)
    assert not receiver.keys.accepts("new")


HEADERS = {
    "another key": lambda body, now: signed(body, now, b"another"),
    "no key": lambda body, now: signed(body, now, b""),
    "another time": lambda body, now: signed(body, now).replace(f"t={int(now)}", f"t={int(now) + 1}"),
    "nothing": lambda body, now: "",
    "no signature": lambda body, now: f"t={int(now)}",
    "empty": lambda body, now: f"t={int(now)},v1=",
    "part of it": lambda body, now: signed(body, now)[:-1],
    "upper case": lambda body, now: signed(body, now).upper(),
    "two": lambda body, now: signed(body, now) + "," + signed(body, now),
    "a line end": lambda body, now: signed(body, now) + "\n",
    "a time that is none": lambda body, now: signed(body, now).replace("t=", "t=-"),
    "other digits": lambda body, now: signed(body, now).replace(f"t={int(now)}", "t=١"),
}


@pytest.mark.parametrize("how", HEADERS)
def test_a_request_of_anybody_else_is_not(receiver, wall, how):
    body = body_of()
    assert receiver.answer(HEADERS[how](body, wall.now), body)[0] == 401
    assert not receiver.keys.accepts("new")


@pytest.mark.parametrize("field", ["request", "rotation", "name", "step", "pending", "current"])
def test_every_field_is_signed(receiver, wall, field):
    signature = signed(body_of(), wall.now)
    changed = json.loads(body_of())
    changed[field] = {"value": "evil"} if field in ("pending", "current") else "evil"
    assert receiver.answer(signature, json.dumps(changed).encode())[0] == 401
    assert not receiver.keys.accepts("evil")


@pytest.mark.parametrize("after", [0, 200, 400, 100_000])
def test_a_request_that_somebody_sends_again_changes_nothing(receiver, wall, after):
    body = body_of()
    signature = signed(body, wall.now)
    assert receiver.answer(signature, body)[0] == 200
    retired = body_of("retire", "r-2", previous={"value": "new"}, current={"value": "first"})
    assert receiver.answer(signed(retired, wall.now), retired)[0] == 200
    wall.now += after
    assert receiver.answer(signature, body)[0] == (200 if after < 300 else 401)
    assert not receiver.keys.accepts("new")


def test_what_was_done_is_known_for_longer_than_a_request_may_be_old(receiver, wall):
    body = body_of()
    wall.now -= receiver_module.WINDOW
    ahead = signed(body, wall.now + receiver_module.WINDOW)
    receiver.answer(ahead, body)
    wall.now += 2 * receiver_module.WINDOW - 1
    retired = body_of("retire", "r-2", previous={"value": "new"}, current={"value": "first"})
    receiver.answer(signed(retired, wall.now), retired)
    assert receiver.answer(ahead, body)[0] == 200
    assert not receiver.keys.accepts("new")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"[" * 99_999, 400), (b"\xff", 400), (b"{}", 400),
        (b'{"step": 1}', 501),
        (body_of("explode"), 501), (body_of("__init__"), 501), (body_of("_remove"), 501), (body_of("accepts"), 501),
        (body_of("set", pending=None, current=None), 400), (body_of("set", pending={"value": 3}, current={}), 400),
        (body_of("set", pending={"value": "\udcff"}, current={"value": "first"}), 400),
    ],
)  # fmt: skip
def test_what_is_no_request_changes_nothing(receiver, wall, body, status):
    assert receiver.answer(signed(body, wall.now), body)[0] == status
    assert receiver._database.execute("SELECT count(*) FROM keys").fetchone() == (1,)
    assert receiver._database.execute("SELECT count(*) FROM done").fetchone() == (0,)


@pytest.mark.parametrize("length", ["", "-1", "x", "9999999", "99999999999999", "0x10", "²"])
def test_a_request_of_unknown_length_is_not_read(service, length):
    connection = HTTPConnection("127.0.0.1", service.server_port, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", length.encode("latin-1"))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


# As its first lines say


def test_it_runs_as_its_first_lines_say(tmp_path, make_manager):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    database = str(tmp_path / "keys.db")
    run = [sys.executable, str(PROGRAM), database]
    subprocess.run([*run, "accept"], input=b"the first key\n", check=True)
    assert os.stat(database).st_mode & 0o077 == 0
    environment = {**os.environ, "SIGNING_KEY": "of a hook"}
    with subprocess.Popen([*run, "serve", str(port)], env=environment, stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(port)
            manager = make_manager()
            manager.set_secrets({"API_KEY": "the first key", "hooks/key": "of a hook"})
            manager.rotation.attach("API_KEY", f"webhook:http://127.0.0.1:{port}/#key=hooks/key", grace=0)
            manager.rotate_secret("API_KEY")
            assert manager.rotation.status("API_KEY")[0].step == "idle"
        finally:
            running.terminate()
    keys = receiver_module.Receiver(database, b"").keys
    assert (keys.accepts(manager.get_secret("API_KEY")), keys.accepts("the first key")) == (True, False)


def wait_for(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def test_it_does_not_start_without_a_key_to_sign_with(tmp_path):
    run = [sys.executable, str(PROGRAM), str(tmp_path / "keys.db"), "serve", "0"]
    done = subprocess.run(run, env={**os.environ, "SIGNING_KEY": ""}, capture_output=True, text=True, check=False)
    assert "SIGNING_KEY is empty" in done.stderr

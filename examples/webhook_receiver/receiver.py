#!/usr/bin/env python3
"""Receives the steps of a rotation from strongroom's `webhook:` rotator: the keys of an API, in an SQLite file.

Copy this file, and replace the class `Keys` with what gives your own service a new value. The rest checks that a
request comes from strongroom, is not an old one, and is done once.

    echo 'the first key' | python3 receiver.py keys.db accept
    SIGNING_KEY=… python3 receiver.py keys.db serve 8899
    strongroom rotate API_KEY --attach 'webhook:http://127.0.0.1:8899/#key=hooks/key'

It listens on this machine only. Put a server that speaks TLS in front of it for requests from others.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WINDOW = 300
"""Seconds that a request's time may differ from ours: an older request is not accepted again."""
MOST = 1 << 20
"""Bytes of a request."""
TABLES = """
CREATE TABLE IF NOT EXISTS keys (hash TEXT PRIMARY KEY, accepted INTEGER NOT NULL, rotation TEXT, value TEXT);
CREATE TABLE IF NOT EXISTS done (request TEXT PRIMARY KEY, at REAL NOT NULL);
"""


class Refused(Exception):
    """Nothing was changed; the status tells strongroom why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def check_signature(key: bytes, header: str, body: bytes, now: float) -> None:
    """Raise `Refused` unless `header` proves that whoever knows `key` sent this body, and did so just now."""
    found = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", header)
    if found is None:
        raise Refused(401, "there is no signature")
    stamp, signature = found.groups()
    expected = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, expected):
        raise Refused(401, "the signature is wrong")
    if abs(now - int(stamp)) > WINDOW:
        raise Refused(401, "the request is too old, or one of the two clocks is wrong")


class Keys:
    """The keys that an API accepts. Each step may be asked again, and then does what is left to do."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def accepts(self, key: str) -> bool:
        """What the API asks for each request."""
        row = self._database.execute("SELECT accepted FROM keys WHERE hash = ?", [_hash(key)]).fetchone()
        return row is not None and bool(row[0])

    def create(self, request: dict) -> dict:
        """Make a key that is not accepted yet: one for each rotation, however often it is asked for."""
        rotation = request["rotation"]
        made = "SELECT value FROM keys WHERE rotation = ? AND rotation != ''"
        row = self._database.execute(made, [rotation]).fetchone()
        if row is None:
            row = (secrets.token_urlsafe(32),)
            self._database.execute("INSERT INTO keys VALUES (?, 0, ?, ?)", [_hash(row[0]), rotation, row[0]])
        if row[0] is None:
            raise Refused(409, "the key of this rotation was handed out and is in use")
        return {"value": row[0]}

    def set(self, request: dict) -> dict:
        """Accept the pending key, and go on accepting the current one."""
        for key in (request["pending"]["value"], request["current"]["value"]):
            # From here on only its hash is kept.
            self._database.execute(
                "INSERT INTO keys VALUES (?, 1, NULL, NULL) ON CONFLICT DO UPDATE SET accepted = 1, value = NULL",
                [_hash(key)],
            )
        return {}

    def test(self, request: dict) -> dict:
        """Say whether the key is accepted."""
        if not self.accepts(request["pending"]["value"]):
            raise Refused(422, "the key is not accepted")
        return {}

    def retire(self, request: dict) -> dict:
        """Accept the previous key no more."""
        return self._remove(request["previous"]["value"], request["current"]["value"])

    def discard(self, request: dict) -> dict:
        """Remove a key that no rotation is going to use."""
        return self._remove(request["created"]["value"], request["current"]["value"])

    def _remove(self, key: str, current: str) -> dict:
        if key == current:
            raise Refused(422, "this is the current key")
        self._database.execute("DELETE FROM keys WHERE hash = ?", [_hash(key)])
        return {}


class Receiver:
    """Answers requests, each in one transaction."""

    def __init__(self, path: str, signing_key: bytes, clock=time.time) -> None:
        self._key = signing_key
        self._clock = clock
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(TABLES)
        self.keys = Keys(self._database)

    def answer(self, signature: str, body: bytes) -> tuple[int, dict]:
        """Return the status and the JSON of an answer."""
        try:
            check_signature(self._key, signature, body, self._clock())
            request = json.loads(body)
            step = request["step"]
            if step not in ("create", "set", "test", "retire", "discard"):
                raise Refused(501, "this step is not known here")
            with self._lock:
                return 200, self._once(step, request)
        except Refused as refused:
            return refused.status, {"error": str(refused)}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return 400, {"error": "this is no request of a rotation"}

    def _once(self, step: str, request: dict) -> dict:
        """Do what a request asks for, unless it was done: then somebody sent it again."""
        now = self._clock()
        self._database.execute("BEGIN IMMEDIATE")
        try:
            # What is older is refused for its age.
            self._database.execute("DELETE FROM done WHERE at < ?", [now - 2 * WINDOW])
            done = self._database.execute("SELECT 1 FROM done WHERE request = ?", [request["request"]]).fetchone()
            # A repeat of `create` is answered with the same key, so it is asked each time.
            if done and step != "create":
                result = {}
            else:
                result = getattr(self.keys, step)(request)
                self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", [request["request"], now])
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        return result


class Handler(BaseHTTPRequestHandler):
    """One request over HTTP."""

    timeout = 30

    def do_POST(self) -> None:
        """Answer a step."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 7 or int(length) > MOST:
            self.close_connection = True
            self._send(413, {"error": "the request is too large, or of unknown length"})
            return
        body = self.rfile.read(int(length))
        self._send(*self.server.receiver.answer(self.headers.get("Strongroom-Signature", ""), body))

    def _send(self, status: int, answer: dict) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(receiver: Receiver, port: int) -> ThreadingHTTPServer:
    """Return a server on this machine that is ready to `serve_forever`."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.receiver = receiver
    return server


def _hash(key: str) -> str:
    # A plain hash is enough for a key of 256 random bits; it is not for a password.
    return hashlib.sha256(key.encode()).hexdigest()


if __name__ == "__main__":
    os.umask(0o077)
    if sys.argv[2:] == ["accept"]:
        first = sys.stdin.readline().strip()
        Receiver(sys.argv[1], b"").keys.set({"pending": {"value": first}, "current": {"value": first}})
    else:
        # With an empty signing key anybody could sign.
        signing_key = os.environ["SIGNING_KEY"].encode() or sys.exit("SIGNING_KEY is empty")
        serve(Receiver(sys.argv[1], signing_key), int(sys.argv[3])).serve_forever()

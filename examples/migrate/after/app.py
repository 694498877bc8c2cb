"""A notes service: log in, keep notes, mail one to somebody."""

import base64
import hashlib
import hmac
import json
import os
import smtplib
import sqlite3
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from strongroom import get_secret_or_env


def load_env_file(path=".env"):
    """Put what .env holds into the environment, as many services do at start."""
    if os.path.exists(path):
        with open(path) as lines:
            for line in lines:
                name, equals, value = line.strip().removeprefix("export ").partition("=")
                if equals and not name.startswith("#"):
                    os.environ.setdefault(name, value.strip("'\""))


def connect():
    """Open the database. SQLite has no passwords, so a hash of ours stands in for the check of a database server."""
    database = sqlite3.connect("notes.db")
    database.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user TEXT, text TEXT)")
    database.execute("CREATE TABLE IF NOT EXISTS login (id INTEGER PRIMARY KEY CHECK (id = 1), hash BLOB)")
    password = get_secret_or_env("DATABASE_PASSWORD")
    given = hashlib.scrypt(password.encode(), salt=b"notes", n=1024, r=8, p=1)
    database.execute("INSERT OR IGNORE INTO login VALUES (1, ?)", (given,))
    (expected,) = database.execute("SELECT hash FROM login").fetchone()
    if not hmac.compare_digest(given, expected):
        raise PermissionError("the database refuses the password")
    return database


def signature(text):
    """Sign with HS256, as JSON Web Tokens do."""
    secret = get_secret_or_env("JWT_SECRET")
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), text, "sha256")).rstrip(b"=")


def new_token(user):
    """Return a JSON Web Token that is good for one hour."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": user, "exp": time.time() + 3600}]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return (text + b"." + signature(text)).decode()


def user_of(token):
    """Return the user whom we gave this token, or None."""
    text, _, signed = token.encode().rpartition(b".")
    if not hmac.compare_digest(signed, signature(text)):
        return None
    claims = json.loads(base64.urlsafe_b64decode(text.split(b".")[1] + b"=="))
    return claims["sub"] if claims["exp"] > time.time() else None


def send_mail(to, text):
    """Hand one message to the mail server."""
    with smtplib.SMTP("127.0.0.1", int(os.environ["SMTP_PORT"])) as server:
        password = get_secret_or_env("SMTP_PASSWORD")
        server.login("notes", password)
        server.sendmail("notes@example.org", [to], f"Subject: A note\r\n\r\n{text}\r\n")


class Notes(BaseHTTPRequestHandler):
    """POST /login, and with the token from there: GET /notes, POST /notes, POST /mail."""

    def do_GET(self):
        """Answer GET."""
        self.answer({"/health": self.health, "/notes": self.list_notes})

    def do_POST(self):
        """Answer POST."""
        self.answer({"/login": self.login, "/notes": self.add_note, "/mail": self.mail_note})

    def answer(self, actions):
        """Run the action of the path and write its status and JSON."""
        length = int(self.headers.get("Content-Length", 0))
        self.body = json.loads(self.rfile.read(length) or b"{}")
        self.user = user_of(self.headers.get("Authorization", "").removeprefix("Bearer "))
        action = actions.get(self.path)
        if action is None:
            status, result = 404, {"error": "not found"}
        elif self.user is None and action not in (self.health, self.login):
            status, result = 401, {"error": "log in first"}
        else:
            status, result = action()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(result).encode())

    def health(self):
        """Say that the service is up."""
        return 200, {"ok": True}

    def login(self):
        """Give a token to whoever asks; a real service would check a password here."""
        return 200, {"token": new_token(self.body["user"])}

    def list_notes(self):
        """Return the user's notes."""
        with closing(connect()) as database, database:
            found = database.execute("SELECT id, text FROM notes WHERE user = ?", (self.user,))
            return 200, {"notes": [{"id": number, "text": text} for number, text in found]}

    def add_note(self):
        """Keep a note."""
        with closing(connect()) as database, database:
            note = (self.user, self.body["text"])
            return 200, {"id": database.execute("INSERT INTO notes (user, text) VALUES (?, ?)", note).lastrowid}

    def mail_note(self):
        """Mail a note of the user's."""
        with closing(connect()) as database, database:
            which = (self.body["id"], self.user)
            (text,) = database.execute("SELECT text FROM notes WHERE id = ? AND user = ?", which).fetchone()
        try:
            send_mail(self.body["to"], text)
        except smtplib.SMTPAuthenticationError:
            return 502, {"error": "the mail server refuses our password"}
        return 200, {"sent": True}

    def log_message(self, *_):
        """Keep the terminal quiet."""


if __name__ == "__main__":
    load_env_file()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Notes).serve_forever()

"""A Flask application reads live secrets, and its sessions survive a rotation of their key."""

from __future__ import annotations

import pytest

flask = pytest.importorskip("flask")

from strongroom.integrations.flask import LiveSessions, secret  # noqa: E402


@pytest.fixture
def app(secrets):
    secrets.set_secret("SESSION_KEY", "first key")
    app = flask.Flask(__name__)
    app.extensions["strongroom"] = secrets
    app.session_interface = LiveSessions(secrets, "SESSION_KEY")

    @app.get("/")
    def index():
        return secret("DB").value

    @app.get("/login")
    def login():
        flask.session["user"] = "alice"
        return "welcome"

    @app.get("/user")
    def user():
        return flask.session.get("user", "nobody")

    return app


def cookie(client):
    return client.get_cookie("session").value


def test_a_view_reads_the_current_value(app, secrets):
    client = app.test_client()
    assert client.get("/").text == "old-Password/+1"
    secrets.set_secret("DB", "new")
    assert client.get("/").text == "new"


def test_a_session_survives_one_rotation_of_its_key_and_not_two(app, secrets):
    client = app.test_client()
    client.get("/login")
    assert client.get("/user").text == "alice"
    secrets.set_secret("SESSION_KEY", "second key")
    assert client.get("/user").text == "alice"
    secrets.set_secret("SESSION_KEY", "third key")
    assert client.get("/user").text == "nobody"


def test_a_new_session_is_signed_with_the_current_key(app, secrets):
    client = app.test_client()
    client.get("/login")
    before = cookie(client)
    secrets.set_secret("SESSION_KEY", "second key")
    client.get("/login")
    after = cookie(client)
    secrets.set_secret("SESSION_KEY", "third key")
    for signed, user in ((after, "alice"), (before, "nobody")):
        client.set_cookie("session", signed)
        assert client.get("/user").text == user


def test_a_key_before_that_was_destroyed_is_not_taken(app, secrets):
    client = app.test_client()
    client.get("/login")
    secrets.set_secret("SESSION_KEY", "second key")
    secrets.destroy_secret("SESSION_KEY", [1])
    assert client.get("/user").text == "nobody"


def test_a_session_cookie_is_that_of_flask(app):
    """A cookie of Flask's own interface with the same key is taken, so that moving over logs nobody out."""
    plain = flask.Flask(__name__)
    plain.secret_key = "first key"
    signed = plain.session_interface.get_signing_serializer(plain).dumps({"user": "alice"})
    client = app.test_client()
    client.set_cookie("session", signed)
    assert client.get("/user").text == "alice"

"""httpx and Requests send the current token to a real server, and try again when it has just changed."""

from __future__ import annotations

import asyncio
import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

import pytest

httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

from strongroom.integrations import httpx as for_httpx  # noqa: E402
from strongroom.integrations import requests as for_requests  # noqa: E402


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.seen.append(self.headers.get("Authorization"))
        server.before_answer()
        status = 302 if server.location else 200 if server.seen[-1] in server.accepted else 401
        self.send_response(status)
        if server.location:
            self.send_header("Location", server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def make_server():
    """Return servers that answer 200 to those in `accepted`, else 401; what they were sent is in `seen`."""
    made = []

    def make(*accepted):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.accepted, server.seen, server.location, server.before_answer = accepted, [], None, lambda: None
        server.url = f"http://127.0.0.1:{server.server_port}/"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        made.append(server)
        return server

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def get_httpx(url, auth):
    with httpx.Client(auth=auth) as client:
        return client.get(url, follow_redirects=True)


def get_httpx_async(url, auth):
    async def main():
        async with httpx.AsyncClient(auth=auth) as client:
            return await client.get(url, follow_redirects=True)

    return asyncio.run(main())


def get_requests(url, auth):
    with requests.Session() as session:
        session.trust_env = False
        session.auth = auth
        return session.get(url)


@pytest.fixture(params=[(get_httpx, for_httpx), (get_httpx_async, for_httpx), (get_requests, for_requests)])
def client(request):
    """Return a function that gets a URL, and the module with the classes for it."""
    return request.param


def basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_the_token_is_the_current_one(client, make_server, secrets):
    get, module = client
    auth = module.Bearer(secrets.secret("DB"))
    server = make_server("Bearer old-Password/+1", "Bearer new")
    assert get(server.url, auth).status_code == 200
    secrets.set_secret("DB", "new")
    assert get(server.url, auth).status_code == 200
    assert server.seen == ["Bearer old-Password/+1", "Bearer new"]


def test_a_request_is_sent_again_when_the_token_changed_in_between(client, make_server, secrets):
    get, module = client
    server = make_server("Bearer new")
    server.before_answer = lambda: secrets.set_secret("DB", "new") if len(server.seen) == 1 else None
    assert get(server.url, module.Bearer(secrets.secret("DB"))).status_code == 200
    assert server.seen == ["Bearer old-Password/+1", "Bearer new"]


def test_a_refused_token_that_did_not_change_is_sent_once(client, make_server, secrets):
    get, module = client
    server = make_server()
    assert get(server.url, module.Bearer(secrets.secret("DB"))).status_code == 401
    assert len(server.seen) == 1


def test_user_and_password_are_sent(client, make_server, secrets):
    get, module = client
    secrets.set_secret("LOGIN", {"username": "me", "password": "pä"})
    server = make_server(basic("me:pä"), basic("other:pä"))
    assert get(server.url, module.Basic(secrets.secret("LOGIN"))).status_code == 200
    assert get(server.url, module.Basic(secrets.secret("LOGIN"), "other")).status_code == 200
    assert server.seen == [basic("me:pä"), basic("other:pä")]


def test_a_token_does_not_follow_a_redirect_to_another_host(client, make_server, secrets):
    get, module = client
    first, second = make_server(), make_server()
    first.location = f"http://localhost:{second.server_port}/"
    # The other host refuses just when the secret changes: not a reason to show it the new one.
    second.before_answer = lambda: secrets.set_secret("DB", "new")
    get(first.url, module.Bearer(secrets.secret("DB")))
    assert second.seen == [None]


def test_a_body_is_sent_again_with_the_request_and_a_stream_is_not(make_server, secrets):
    auth = for_requests.Bearer(secrets.secret("DB"))
    for number, (body, status) in enumerate([(b"again", 200), (BytesIO(b"once"), 401)]):
        server = make_server(f"Bearer new {number}")
        server.before_answer = lambda number=number: secrets.set_secret("DB", f"new {number}")
        assert requests.post(server.url, data=body, auth=auth).status_code == status

"""A FastAPI or Starlette application opens the store with itself, and gets live secrets."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

fastapi = pytest.importorskip("fastapi")

from fastapi import Depends, FastAPI, WebSocket  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from strongroom import StoreError  # noqa: E402
from strongroom.integrations.fastapi import lifespan, secret  # noqa: E402

Token = Annotated[Any, Depends(secret("DB"))]


@pytest.fixture
def client(secrets):
    app = FastAPI(lifespan=lifespan(lambda: secrets))

    @app.get("/")
    async def index(token: Token) -> str:
        return token.value

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, token: Token) -> None:
        await websocket.accept()
        await websocket.send_text(token.value)
        await websocket.close()

    with TestClient(app) as client:
        yield client


def test_a_dependency_is_the_live_secret(client, secrets):
    assert client.get("/").json() == "old-Password/+1"
    secrets.set_secret("DB", "new")
    assert client.get("/").json() == "new"


def test_a_web_socket_gets_it_too(client):
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "old-Password/+1"


def test_a_secret_is_no_part_of_the_interface_that_is_shown(client):
    assert "parameters" not in client.get("/openapi.json").json()["paths"]["/"]["get"]


def test_starlette_gets_it_from_the_request(secrets):
    async def index(request):
        return PlainTextResponse((await secret("DB")(request)).value)

    with TestClient(Starlette(routes=[Route("/", index)], lifespan=lifespan(lambda: secrets))) as client:
        assert client.get("/").text == "old-Password/+1"


def test_the_store_is_closed_with_the_application(secrets, monkeypatch):
    closed = []
    monkeypatch.setattr(type(secrets), "close", lambda self: closed.append(1))
    with TestClient(FastAPI(lifespan=lifespan(lambda: secrets))):
        assert closed == []
    assert closed == [1]


def test_an_application_does_not_start_without_its_store():
    def refuse():
        raise StoreError("not now")

    with pytest.raises(StoreError, match="not now"), TestClient(FastAPI(lifespan=lifespan(refuse))):
        pass

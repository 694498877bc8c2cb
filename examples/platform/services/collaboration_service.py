"""collaboration-service: rooms in memory; who waits in one is told at once what another says there."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qsl

from shared.python.service import Refusal, Request, Service
from shared.python.signatures import SigningKey, claims_of

WAIT = 20.0
"""Seconds that a request waits for news."""

service = Service("collaboration-service")
key = SigningKey("JWT_SECRET", grace=3600)
rooms: dict[str, list[dict[str, Any]]] = defaultdict(list)
news = threading.Condition()


@service.post("rooms")
def say(request: Request) -> dict[str, Any]:
    """Tell everybody in the room."""
    user = member(request)
    with news:
        messages = rooms[request.rest]
        messages.append({"user": user, "text": request.json["text"]})
        news.notify_all()
        return {"number": len(messages)}


@service.get("rooms")
def listen(request: Request) -> dict[str, Any]:
    """Return the messages after the number `after`; wait for the next one when there is none yet."""
    member(request)
    after = int(dict(parse_qsl(request.query)).get("after", "0"))
    with news:
        news.wait_for(lambda: len(rooms[request.rest]) > after, WAIT)
        return {"messages": rooms[request.rest][after:]}


def member(request: Request) -> str:
    """Return the user; the token is checked here, as a request to another service would take longer than the news."""
    claims = claims_of(key, request.bearer)
    if claims is None:
        raise Refusal(401, "this token is not ours, or has expired")
    user: str = claims["sub"]
    return user


if __name__ == "__main__":
    service.run()

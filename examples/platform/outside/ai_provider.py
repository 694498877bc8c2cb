"""Stands where the AI provider is: takes a request with a key that it has given out, and gives out new ones.

`POST /rotate` is what its operators offer to `strongroom rotate --attach webhook:…`: signed with AI_ADMIN_KEY.
"""

from __future__ import annotations

import hmac
import os
import secrets
from typing import Any

from shared.python.service import Refusal, Request, Service

service = Service("ai-provider")
accepted = {os.environ["AI_API_KEY"]}
admin_key = os.environ["AI_ADMIN_KEY"].encode()


@service.post("complete")
def complete(request: Request) -> dict[str, Any]:
    """Return the text with a box around it."""
    if request.bearer not in accepted:
        raise Refusal(401, "this API key is not valid")
    text = request.json["text"]
    return {"text": f"+-{'-' * len(text)}-+\n| {text} |\n+-{'-' * len(text)}-+"}


@service.post("rotate")
def rotate(request: Request) -> dict[str, Any]:
    """Do one step of a rotation."""
    stamp, _, signature = request.headers.get("Strongroom-Signature", "").removeprefix("t=").partition(",v1=")
    if not hmac.compare_digest(hmac.digest(admin_key, stamp.encode() + b"." + request.body, "sha256").hex(), signature):
        raise Refusal(401, "not signed by the administrator's key")
    step = request.json
    if step["step"] == "create":
        return {"value": secrets.token_urlsafe(32)}
    if step["step"] == "set":
        accepted.add(step["pending"]["value"])
    elif step["step"] == "retire":
        accepted.discard(step["previous"]["value"])
    elif step["pending"]["value"] not in accepted:
        raise Refusal(409, "this key was not set")
    return {}


if __name__ == "__main__":
    service.run()

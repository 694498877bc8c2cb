"""integration-hub: passes events of known callers on as signed webhooks."""

from __future__ import annotations

import json
from typing import Any

from shared.python.peer import Peer
from shared.python.service import Refusal, Request, Service
from shared.python.signatures import SigningKey, is_one_of

service = Service("integration-hub")
callers = SigningKey("INTEGRATION_API_KEY", grace=3600)
webhooks = SigningKey("WEBHOOK_SECRET", grace=3600)
subscribers = [Peer("git-service")]


@service.post("events")
def deliver(request: Request) -> dict[str, Any]:
    """Sign an event and deliver it to all subscribers."""
    if not is_one_of(request.headers.get("X-Api-Key", ""), callers):
        raise Refusal(401, "this API key is not ours")
    event = request.json
    body = json.dumps(event).encode()
    headers = {"X-Hub-Signature-256": f"sha256={webhooks.sign(body).hex()}"}
    statuses = [peer.call("POST", f"/hooks/{event['kind']}", body, headers).status for peer in subscribers]
    if any(status != 200 for status in statuses):
        raise Refusal(502, f"the subscribers answered {statuses}")
    return {"delivered": len(statuses)}


if __name__ == "__main__":
    service.run()

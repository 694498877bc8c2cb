"""api-gateway: the one door. It asks auth-service whose token a request has, and passes the request on."""

from __future__ import annotations

from shared.python.peer import Peer
from shared.python.secrets_manager import get_secret_or_env
from shared.python.service import Answer, Request, Service

BEHIND = {
    "auth": Peer("auth-service"),
    "diagram": Peer("diagram-service"),
    "ai": Peer("ai-service"),
    "collaboration": Peer("collaboration-service"),
    "export": Peer("export-service"),
    "integration": Peer("integration-hub"),
}
OPEN = {"auth"}
"""What needs no token: this is where tokens come from."""

service = Service("api-gateway")


def pass_on(method: str, name: str, request: Request) -> Answer:
    """Answer with what the service behind answers."""
    headers = {}
    if name not in OPEN:
        user = BEHIND["auth"].json("GET", "/verify", headers={"Authorization": f"Bearer {request.bearer}"})["user"]
        headers = {"X-User": user, "Authorization": f"Bearer {request.bearer}"}
    if name == "integration":
        headers["X-Api-Key"] = get_secret_or_env("INTEGRATION_API_KEY", "INTEGRATION_API_KEY")
    return BEHIND[name].call(method, f"/{request.rest}?{request.query}", request.body, headers)


for name in BEHIND:
    service.get(name)(lambda request, name=name: pass_on("GET", name, request))
    service.post(name)(lambda request, name=name: pass_on("POST", name, request))


if __name__ == "__main__":
    service.run()

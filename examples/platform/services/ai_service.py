"""ai-service: asks a provider for a suggestion, with an API key that the provider may replace at any time."""

from __future__ import annotations

from typing import Any

from shared.python.peer import Peer
from shared.python.secrets_manager import get_secret_or_env, secrets
from shared.python.service import Request, Service

service = Service("ai-service")
provider = Peer("ai-provider")
# A rotation retires the old key when this process has reported the new one.
secrets().secret("AI_API_KEY")


@service.post("suggestions")
def suggest(request: Request) -> dict[str, Any]:
    """Return what the provider makes of a text."""
    headers = {"Authorization": f"Bearer {get_secret_or_env('AI_API_KEY', 'AI_API_KEY')}"}
    found: dict[str, Any] = provider.json("POST", "/complete", {"text": request.json["text"]}, headers)
    return found


if __name__ == "__main__":
    service.run()

"""What a user does, through the one door; and the secrets that are no password of a database."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from typing import Any

from loading import AUTHOR
from running import Platform
from telling import NotAsTold, expect, line


class User:
    """Somebody with a token."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        call, user = platform.call, {"name": AUTHOR, "password": "a-user's-own"}
        call("api-gateway", "POST", "/auth/users", user)
        self.token = call("api-gateway", "POST", "/auth/tokens", user)["token"]

    def use_it(self) -> int:
        """Go through every service once, and return the number of a diagram."""
        diagram: int = self.call("POST", "/diagram/diagrams", {"title": "first", "body": "a -> b"})["id"]
        self.call("POST", "/collaboration/rooms/first", {"text": "look at this"})
        heard = self.call("GET", "/collaboration/rooms/first?after=0")["messages"]
        suggestion = self.call("POST", "/ai/suggestions", {"text": "a -> b"})["text"]
        self.call("POST", "/integration/events", {"kind": "diagram-saved", "id": diagram})
        commits = self.platform.call("git-service", "GET", "/log")["commits"]
        stored = self.call("POST", f"/export/exports/{AUTHOR}")["stored"]
        expect("a -> b" in suggestion and len(heard) == len(commits) == 1, "the services do not work together")
        line(f"diagram {diagram} is stored, discussed, improved, committed to git, and exported as {stored}")
        return diagram

    def call(self, method: str, path: str, value: Any = None) -> Any:
        """Call the gateway with the token."""
        return self.platform.call("api-gateway", method, path, value, {"Authorization": f"Bearer {self.token}"})

    def rotate_other_secrets(self) -> None:
        """Rotate what is no password of a database."""
        store, provider = self.platform.store, self.platform.urls["ai-provider"]
        old_key = store.get_secret("AI_API_KEY")
        for name in ("JWT_SECRET", "WEBHOOK_SECRET", "INTEGRATION_API_KEY"):
            store.rotate_secret(name)
        store.rotation.attach("AI_API_KEY", f"webhook:{provider}/rotate#key=AI_ADMIN_KEY")
        store.rotation.rotate("AI_API_KEY", wait=5)
        # This program has read the key too, above, so the grace time would not end by itself before an hour.
        if any(status.name == "AI_API_KEY" and status.step == "promoted" for status in store.rotation.status()):
            store.rotation.retire("AI_API_KEY", force=True)
        # Through the gateway, with the token that the JWT_SECRET before has signed.
        self.call("POST", "/integration/events", {"kind": "diagram-saved", "id": 1})
        self.call("POST", "/ai/suggestions", {"text": "still here"})
        line("a token that the old JWT_SECRET signed is taken, webhooks arrive, the AI provider answers")
        refused(lambda: self.platform.call("ai-provider", "POST", "/complete", {"text": "x"},
                                           {"Authorization": f"Bearer {old_key}"}))  # fmt: skip
        refused(lambda: self.platform.call("auth-service", "GET", "/verify", None,
                                           {"Authorization": f"Bearer {self.token[:-4]}AAAA"}))  # fmt: skip
        line("the AI provider refuses its old key, and auth-service a forged token")


def refused(call: Callable[[], Any]) -> None:
    """Raise `NotAsTold` unless the call is answered 401."""
    try:
        call()
    except urllib.error.HTTPError as error:
        expect(error.code == 401, f"answered {error.code}, not 401")
    else:
        raise NotAsTold("what should be refused was taken")

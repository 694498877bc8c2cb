"""Who asks, and how the request came."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """A caller, as the audit log names it."""

    actor: str
    """Whom the policy judges: a person, a service, a token's owner."""
    source: str | None = None
    """How the request came, such as `library`, `cli` or `http`; None for the way in which the store was opened."""
    remote_address: str | None = None
    """Where it came from, for one that came over a network."""
    request_id: str | None = None
    """What names the request in other logs."""

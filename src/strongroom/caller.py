"""Who asks, and how the request came."""

from __future__ import annotations


class Caller(tuple[str, str | None, str | None, str | None]):
    """A caller, as the audit log names it: a tuple with names for its parts.

    Written by hand, because `NamedTuple` would cost each start of the command line a millisecond.
    """

    __slots__ = ()

    _fields = ("actor", "source", "remote_address", "request_id")

    def __new__(
        cls, actor: str, source: str | None = None, remote_address: str | None = None, request_id: str | None = None
    ) -> Caller:
        """Take what is known; only the actor is known of every caller."""
        return super().__new__(cls, (actor, source, remote_address, request_id))

    def __getnewargs__(self) -> tuple[str | None, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        known = zip(self._fields, self, strict=True)
        return f"Caller({', '.join(f'{field}={value!r}' for field, value in known if value is not None)})"

    @property
    def actor(self) -> str:
        """Whom the policy judges: a person, a service, a token's owner."""
        return self[0]

    @property
    def source(self) -> str | None:
        """How the request came, such as `library`, `cli` or `http`; None for the way in which the store was opened."""
        return self[1]

    @property
    def remote_address(self) -> str | None:
        """Where it came from, for one that came over a network."""
        return self[2]

    @property
    def request_id(self) -> str | None:
        """What names the request in other logs."""
        return self[3]

    def without_request(self) -> Caller:
        """Return the same caller, whatever it asks for."""
        return Caller(self.actor, self.source, self.remote_address)

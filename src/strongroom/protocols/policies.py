"""What a policy must do."""

from typing import Protocol


class Policy(Protocol):
    """Says who may do what."""

    def allows(self, actor: str, capability: str, name: str) -> bool:
        """True when `actor` may exercise `capability` (`create read update delete list`) on the secret `name`."""
        ...

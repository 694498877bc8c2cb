"""What `forking` asks of a store."""

from __future__ import annotations

from typing import Protocol


class Forkable(Protocol):
    """A store that can be carried through `fork`."""

    def before_fork(self) -> None:
        """Come to rest: let go of what a child must not inherit, and let nothing start until the fork is over."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on. Called only after `before_fork`."""
        ...

    def after_fork_in_child(self) -> None:
        """Start anew. A fork made in C (an application server) may come here without `before_fork`."""
        ...

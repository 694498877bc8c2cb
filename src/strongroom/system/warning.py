"""What strongroom warns with, apart from its errors."""

from __future__ import annotations


class StrongroomWarning(UserWarning):
    """Something works, but not as a careful operator would want it."""

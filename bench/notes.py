"""Why strongroom is not ahead of a peer in a job, where it is not. Keyed by section and contender."""

from __future__ import annotations

WHY_NOT: dict[tuple[str, str], str] = {}

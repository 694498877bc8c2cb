"""Campaigns: real processes, real SIGKILL, real damage, real full disks. `make campaign` runs them at full length."""

from __future__ import annotations

import os

LONG = os.environ.get("STRONGROOM_CAMPAIGN") == "1"
KINDS = ("sqlite", "file")


def size(short: int, long: int) -> int:
    """Return how much to do: `short` within the suite, `long` with STRONGROOM_CAMPAIGN=1."""
    return long if LONG else short

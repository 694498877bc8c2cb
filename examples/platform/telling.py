"""Plain words about what happens, and an end where it is not as told."""

from __future__ import annotations

import sys


class NotAsTold(Exception):
    """Something did not happen as the story says."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise `NotAsTold` unless it holds."""
    if not holds:
        raise NotAsTold(otherwise)


def say(words: str) -> None:
    """Print a chapter's heading."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{words}{plain}", flush=True)


def line(words: str) -> None:
    """Print what happened."""
    print(f"   {words}", flush=True)

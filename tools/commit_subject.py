"""A commit-msg hook: refuse a subject that is empty or longer than 72 characters. Argument: the message's file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST = 72
SCISSORS = "# ------------------------ >8 ------------------------"


def problem(message: str) -> str | None:
    """Return what is wrong with a commit message, None when nothing is."""
    subject = subject_of(message)
    if not subject:
        return "the commit message is empty: begin with a subject that says what the commit does"
    if len(subject) > LONGEST:
        return (
            f"the subject has {len(subject)} characters, at most {LONGEST} are allowed: shorten it, and put the rest "
            "below an empty line"
        )
    return None


def subject_of(message: str) -> str:
    """Return the first paragraph as one line, as git shows it, without `fixup!` and such, which a rebase removes."""
    kept = [line for line in message.partition(SCISSORS)[0].splitlines() if not line.startswith("#")]
    first = re.split(r"\n\s*\n", "\n".join(kept).strip())[0]
    return re.sub(r"^((fixup|squash|amend)! )+", "", " ".join(first.split()))


if __name__ == "__main__":
    found = problem(Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace"))
    if found:
        sys.exit(f"commit refused: {found}")

"""The secret that is read, and what is waited for and counted."""

from __future__ import annotations

import time

NAME = "shop/db"


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reads(secrets, **filters) -> int:
    return len(secrets.get_audit_logs(None, action="GET", **filters))

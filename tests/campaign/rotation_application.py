"""An application that logs in at PostgreSQL again and again, with what the store says; it reports lock-outs.

`rotation_application STORE PORT` prints a line when it has logged in, and at SIGTERM its report as JSON.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from typing import Any

import psycopg

import strongroom


def accepts(port: int, data: Mapping[str, Any]) -> bool:
    """Tell whether the server takes these fields."""
    place = {"host": "127.0.0.1", "port": port, "dbname": "postgres"}
    user, password = data.get("username", "app_a"), data.get("password") or data["value"]
    try:
        psycopg.connect(user=user, password=password, **place).close()
    except psycopg.OperationalError:
        return False
    return True


def main(store: str, port: int) -> None:
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    report = {"logins": 0, "second tries": 0, "lock-outs": 0}
    with strongroom.open(store, audit="memory:", service="application") as secrets:
        current = secrets.get_data("A")
        while not stopped:
            if accepts(port, current):
                if not report["logins"]:
                    print("logged in", flush=True)
                report["logins"] += 1
                continue
            again = secrets.get_data("A")
            # Refused, and still what the store gives out: nobody could have logged in.
            report["lock-outs" if again == current else "second tries"] += 1
            current = again
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""Make the store, and take the platform's secrets from the environment into it: all or none. Values are not printed."""

from __future__ import annotations

import os
import sys

import strongroom

NAMES = (
    "POSTGRES_PASSWORD",
    "POSTGRES_ADMIN_PASSWORD",
    "JWT_SECRET",
    "MINIO_ROOT_USER",
    "MINIO_ROOT_PASSWORD",
    "AI_API_KEY",
    "AI_ADMIN_KEY",
    "INTEGRATION_API_KEY",
    "WEBHOOK_SECRET",
)


def main() -> None:
    """Take what is there; `POSTGRES_USER` goes with its password, so that two roles can take turns."""
    found: dict[str, str | dict[str, str]] = {name: os.environ[name] for name in NAMES if os.environ.get(name)}
    if "POSTGRES_USER" in os.environ and "POSTGRES_PASSWORD" in found:
        login = {"username": os.environ["POSTGRES_USER"], "value": os.environ["POSTGRES_PASSWORD"]}
        found["POSTGRES_PASSWORD"] = login
    os.makedirs("shared", exist_ok=True)
    try:
        store = strongroom.init()
    except strongroom.StoreExistsError:
        store = strongroom.open()
    with store:
        store.set_secrets(found, overwrite=False)
    print(f"{len(found)} secrets are in the store: {', '.join(found)}")
    if missing := set(NAMES) - set(found):
        print(f"not in the environment: {', '.join(sorted(missing))}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except strongroom.StrongroomError as error:
        sys.exit(f"init_secrets: {error}")

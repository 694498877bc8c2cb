"""diagram-service: stores diagrams in PostgreSQL."""

from __future__ import annotations

from typing import Any

from shared.python.database import open_pool
from shared.python.secrets_manager import get_secret_or_env
from shared.python.service import Refusal, Request, Service

service = Service("diagram-service")
pool = open_pool(lambda: get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres"))


@service.post("diagrams")
def create(request: Request) -> dict[str, Any]:
    """Store a diagram of the user whom the gateway names."""
    values = (request.headers.get("X-User", "nobody"), request.json["title"], request.json["body"])
    with pool.connection() as connection:
        stored = connection.execute(
            "INSERT INTO diagrams (author, title, body) VALUES (%s, %s, %s) RETURNING id", values
        ).fetchone()
    return {"id": stored["id"]}


@service.get("diagrams")
def read(request: Request) -> dict[str, Any]:
    """Return a diagram by its number."""
    if not request.rest.isdecimal():
        raise Refusal(400, "a diagram has a number")
    with pool.connection() as connection:
        found = connection.execute("SELECT * FROM diagrams WHERE id = %s", [int(request.rest)]).fetchone()
    if found is None:
        raise Refusal(404, "there is no such diagram")
    return found


if __name__ == "__main__":
    service.run()

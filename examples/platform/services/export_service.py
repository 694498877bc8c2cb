"""export-service: diagrams as CSV, returned or put into the object store."""

from __future__ import annotations

import csv
import io
import os
from typing import Any

from shared.python.database import open_pool
from shared.python.object_store import signed_headers
from shared.python.peer import Peer
from shared.python.secrets_manager import get_secret_or_env
from shared.python.service import Refusal, Request, Service

service = Service("export-service")
pool = open_pool(lambda: get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres"))
object_store = Peer("minio")


@service.get("exports")
def download(request: Request) -> str:
    """Return an author's diagrams as CSV, the newest first, at most a hundred."""
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT id, title, body FROM diagrams WHERE author = %s ORDER BY id DESC LIMIT 100", [request.rest]
        ).fetchall()
    text = io.StringIO()
    writer = csv.DictWriter(text, ["id", "title", "body"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@service.post("exports")
def upload(request: Request) -> dict[str, Any]:
    """Put the same into the object store."""
    path, content = f"/exports/{request.rest}.csv", download(request).encode()
    user = get_secret_or_env("MINIO_ROOT_USER", "MINIO_ROOT_USER", "minio")
    password = get_secret_or_env("MINIO_ROOT_PASSWORD", "MINIO_ROOT_PASSWORD", "minio")
    headers = signed_headers("PUT", os.environ["MINIO_URL"] + path, content, user, password)
    answer = object_store.call("PUT", path, content, headers)
    if answer.status != 200:
        raise Refusal(502, f"the object store answered {answer.status}")
    return {"stored": path, "bytes": len(content)}


if __name__ == "__main__":
    service.run()

"""Stands where MinIO is when there is no Docker: keeps what is put with a valid signature, in memory."""

from __future__ import annotations

import calendar
import hmac
import os
import time
from typing import Any

from shared.python.object_store import signed_headers
from shared.python.service import Refusal, Request, Service

MAX_AGE = 15 * 60
"""Seconds for which a signature is good."""

service = Service("object-store")
user, password = os.environ["MINIO_ROOT_USER"], os.environ["MINIO_ROOT_PASSWORD"]
objects: dict[str, bytes] = {}


@service.put("exports")
def put(request: Request) -> dict[str, Any]:
    """Keep an object of the bucket `exports`."""
    path = f"/exports/{request.rest}"
    at = calendar.timegm(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    expected = signed_headers("PUT", f"http://{request.headers['Host']}{path}", request.body, user, password, at)
    if abs(time.time() - at) > MAX_AGE or not hmac.compare_digest(
        expected["authorization"], request.headers.get("Authorization", "")
    ):
        raise Refusal(403, "SignatureDoesNotMatch")
    objects[path] = request.body
    return {}


@service.get("exports")
def get(request: Request) -> bytes:
    """Return an object."""
    if f"/exports/{request.rest}" not in objects:
        raise Refusal(404, "NoSuchKey")
    return objects[f"/exports/{request.rest}"]


if __name__ == "__main__":
    service.run()

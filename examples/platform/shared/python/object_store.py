"""Signs requests to an object store such as MinIO: AWS Signature Version 4 for S3, with `hmac` alone."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlsplit

REGION = "us-east-1"


def signed_headers(
    method: str, url: str, body: bytes, user: str, password: str, at: float | None = None
) -> dict[str, str]:  # fmt: skip
    """Return the headers that authorize a request; its path and query are in canonical form.

    `at` is when it is signed, seconds since 1970; the store takes it for 15 minutes.
    """
    now = time.gmtime(at)
    headers = {
        "host": urlsplit(url).netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", now),
    }
    names, parts = ";".join(headers), urlsplit(url)
    lines = [method, parts.path, parts.query, *(f"{name}:{value}" for name, value in headers.items()), "", names]
    canonical = "\n".join([*lines, headers["x-amz-content-sha256"]])
    scope = f"{time.strftime('%Y%m%d', now)}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{password}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={user}/{scope},SignedHeaders={names},Signature={signature}"
    return headers | {"authorization": authorization}

"""auth-service: users in PostgreSQL, and JSON Web Tokens that outlive a rotation of JWT_SECRET."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from typing import Any

from psycopg.errors import UniqueViolation
from shared.python.database import open_pool
from shared.python.secrets_manager import get_secret_or_env
from shared.python.service import Refusal, Request, Service
from shared.python.signatures import SigningKey, claims_of, new_token

LIFETIME = 3600
"""Seconds for which a token is good; what the previous secret has signed counts for as long."""

service = Service("auth-service")
pool = open_pool(lambda: get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres"))
key = SigningKey("JWT_SECRET", grace=LIFETIME)


@service.post("users")
def register(request: Request) -> dict[str, Any]:
    """Take a new user's name and password."""
    name, salt = request.json["name"], os.urandom(16)
    try:
        with pool.connection() as connection:
            values = (name, salt, hashed(request.json["password"], salt))
            connection.execute("INSERT INTO users (name, salt, hash) VALUES (%s, %s, %s)", values)
    except UniqueViolation:
        raise Refusal(409, "this name is taken") from None
    return {"name": name}


@service.post("tokens")
def log_in(request: Request) -> dict[str, Any]:
    """Give a token for a name and its password."""
    with pool.connection() as connection:
        user = connection.execute("SELECT salt, hash FROM users WHERE name = %s", [request.json["name"]]).fetchone()
    if user is None or not hmac.compare_digest(hashed(request.json["password"], user["salt"]), user["hash"]):
        raise Refusal(401, "no such user, or another password")
    return {"token": new_token(key, {"sub": request.json["name"], "exp": time.time() + LIFETIME})}


@service.get("verify")
def verify(request: Request) -> dict[str, Any]:
    """Say whose token this is, if it is ours and its user is still there."""
    claims = claims_of(key, request.bearer)
    if claims is None:
        raise Refusal(401, "this token is not ours, or has expired")
    with pool.connection() as connection:
        if connection.execute("SELECT 1 FROM users WHERE name = %s", [claims["sub"]]).fetchone() is None:
            raise Refusal(401, "this user is gone")
    return {"user": claims["sub"]}


def hashed(password: str, salt: bytes) -> bytes:
    """Return scrypt of a password."""
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1)


if __name__ == "__main__":
    service.run()

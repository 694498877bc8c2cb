"""Ways to read the same secret again and again; another way is one more line of `HOT`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import strongroom
from bench.contenders import missing_package
from bench.results import FLOOR
from bench.samples import sample
from bench.strongroom_library import Strongroom, where

SECRETS = 1_000
AWS = "aws-secretsmanager-caching"


class Hot(NamedTuple):
    """A statement that reads the secret `name`."""

    key: str
    label: str
    keeps: str
    prepare: Callable[[str], dict[str, Any]]
    """Given an empty directory: the names that the statement uses, and `value`, what it must give."""
    statement: str
    limits: tuple[tuple[str, float], ...] = ()
    """At most so many times the time of another, by its key."""


def _dictionary(place: str) -> dict[str, Any]:
    return {"table": sample(SECRETS)} | _wanted()


def _live(place: str) -> dict[str, Any]:
    return {"handle": _open(place).secret(_wanted()["name"])} | _wanted()


def _get_secret(place: str) -> dict[str, Any]:
    return {"get_secret": _open(place).get_secret} | _wanted()


def _aws(place: str) -> dict[str, Any]:
    try:
        from aws_secretsmanager_caching import SecretCache
        from botocore.session import get_session
        from botocore.stub import Stubber
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    wanted = _wanted()
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    client = get_session().create_client("secretsmanager", **keys)
    with Stubber(client) as service:
        stages = {"VersionIdsToStages": {"0" * 32: ["AWSCURRENT"]}}
        service.add_response("describe_secret", {"Name": wanted["name"], **stages})
        service.add_response("get_secret_value", _answer(wanted))
        cache = SecretCache(client=client)
        cache.get_secret_string(wanted["name"])
    return {"cache": cache} | wanted


def _answer(wanted: dict[str, str]) -> dict[str, Any]:
    """Return what the service answers, with all that botocore makes of it: the cache copies the whole at each read."""
    headers = {"content-type": "application/x-amz-json-1.1", "content-length": "300", "x-amzn-requestid": "0" * 36,
               "date": "Tue, 01 Sep 2026 12:00:00 GMT", "connection": "keep-alive"}  # fmt: skip
    return {
        "ARN": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{wanted['name']}-AbCdEf",
        "Name": wanted["name"], "VersionId": "0" * 32, "SecretString": wanted["value"],
        "VersionStages": ["AWSCURRENT"], "CreatedDate": datetime(2026, 9, 1, tzinfo=UTC),
        "ResponseMetadata": {
            "RequestId": "0" * 36, "HTTPStatusCode": 200, "HTTPHeaders": headers, "RetryAttempts": 0,
        },
    }  # fmt: skip


def _wanted() -> dict[str, str]:
    name, value = next(iter(sample(SECRETS).items()))
    return {"name": name, "value": value}


def _open(place: str) -> strongroom.SecretsManager:
    Strongroom().fill(place, sample(SECRETS))
    return strongroom.open(*where(place))


HOT = (
    Hot(FLOOR, "floor", "**plain text**, no record, **stale** after a change", _dictionary, "table[name]"),
    Hot("live", "**live handle, `.value`**", "each version on record, further reads counted, never stale", _live,
        "handle.value", ((FLOOR, 5.0), ("aws", 0.05))),
    Hot("get", "**`get_secret`**", "each read on record, never stale", _get_secret, "get_secret(name)"),
    Hot("aws", AWS, "**plain text** in memory, no record here, **stale** for up to an hour", _aws,
        "cache.get_secret_string(name)"),
)  # fmt: skip

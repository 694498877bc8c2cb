"""Hands the audit keys to an auditor, who needs no other key."""

from __future__ import annotations

import json
from collections.abc import Mapping

from strongroom.errors import InvalidKeyError


def export_keys(keys: Mapping[int, bytes]) -> str:
    """Return the audit keys as JSON: `{"strongroom_audit_keys":1,"keys":{"<id>":"<64 hex digits>"}}`.

    They open no secret. But the chain is symmetric: whoever holds them could also forge a log that verifies.
    """
    return json.dumps(
        {"strongroom_audit_keys": 1, "keys": {str(number): key.hex() for number, key in sorted(keys.items())}}
    )


def import_keys(text: str) -> dict[int, bytes]:
    """Read what `export_keys` returned; raises `InvalidKeyError`, which does not quote it."""
    try:
        document = json.loads(text)
        keys = {int(number): bytes.fromhex(key) for number, key in document["keys"].items()}
        good = document["strongroom_audit_keys"] == 1 and keys and {len(key) for key in keys.values()} == {32}
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise InvalidKeyError("this is not a file of audit keys; make one with the store's audit key export")
    return keys

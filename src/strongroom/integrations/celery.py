"""Celery: tasks that read live secrets, in workers whose processes leave nothing off the record.

    from strongroom.integrations.celery import attach, secret

    attach(app, secrets)

    @app.task
    def send():
        token = secret(app, "API_TOKEN").value

A Redis broker or result backend logs in with the current password through
`strongroom.integrations.redis.LiveCredentials`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from strongroom import ConfigError, MissingExtraError, SecretsManager

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    from celery import Celery
    from celery.signals import worker_process_shutdown
except ImportError:
    raise MissingExtraError("this needs Celery: pip install 'strongroom[celery]'") from None


def attach(app: Celery, secrets: SecretsManager) -> None:
    """Let `secret(app, …)` read from `secrets`; call it where the app is made, before workers fork.

    A pool process of Celery ends without Python's exit handlers, so its manager is closed by Celery's own signal:
    reads that were only counted are put on record then.
    """
    app.strongroom = secrets
    parent = os.getpid()

    def close(**_: Any) -> None:
        if os.getpid() != parent:
            secrets.close()

    worker_process_shutdown.connect(close, weak=False)


def secret(app: Celery, name: str) -> LiveSecret:
    """Return a live handle of the app's manager. Raises `ConfigError`, and what `SecretsManager.secret` raises."""
    secrets: SecretsManager | None = getattr(app, "strongroom", None)
    if secrets is None:
        raise ConfigError("this Celery app has no strongroom manager: call attach(app, secrets) where it is made")
    return secrets.secret(name)

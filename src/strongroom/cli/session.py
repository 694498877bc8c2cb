"""From global options to an open store."""

from __future__ import annotations

from typing import Any

from strongroom import opening
from strongroom.cli.arguments import Arguments
from strongroom.config import Config
from strongroom.manager import SecretsManager


def settings(args: Arguments, **more: Any) -> Config:
    """Return the settings with the global options on top."""
    config = opening.load(args.store, args.key, args.audit, actor=args.actor, **more)
    return config._replace(service=config.service or "strongroom")


def manager(args: Arguments, **more: Any) -> SecretsManager:
    """Unlock the store that the options and settings name; raises what `strongroom.open` raises."""
    return open_with(settings(args, **more))


def open_with(config: Config) -> SecretsManager:
    """Unlock the store of these settings."""
    return opening.open(settings=config, source="cli")

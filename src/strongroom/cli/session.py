"""From global options to an open store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom import drivers, opening
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError
from strongroom.manager.manager import SecretsManager
from strongroom.settings import config as configuration
from strongroom.settings.config import Config, Review

if TYPE_CHECKING:
    from strongroom.protocols import KeyProvider


def settings(args: Arguments, **more: Any) -> Config:
    """Return the settings with the global options on top; raises `ConfigError`."""
    config = opening.load(args.store, args.key, args.audit, config=args.config, actor=args.actor, **more)
    return _completed(config)


def review(args: Arguments, **more: Any) -> Review:
    """Return the same settings, allowed or not, and what of them needs permission; raises `ConfigError`."""
    given = {"store": args.store, "key": args.key, "audit": args.audit, "actor": args.actor}
    reviewed = configuration.review(config=args.config, **given, **more)
    return reviewed._replace(config=_completed(reviewed.config))


def _completed(config: Config) -> Config:
    # Commands that look at a store's files ask for its scheme.
    return config._replace(store=drivers.store_url(config.store), service=config.service or "strongroom")


def manager(args: Arguments, **more: Any) -> SecretsManager:
    """Unlock the store that the options and settings name; raises what `strongroom.open` raises."""
    return open_with(settings(args, **more))


def open_with(config: Config, source: str = "cli") -> SecretsManager:
    """Unlock the store of these settings; `source` is what events say of where they come from."""
    return opening.open(settings=config, source=source)


def new_key(url: str, out: Output) -> KeyProvider:
    """Return the provider of a key that shall lock a store from now on.

    A passphrase for that is asked for twice where there is a human, since a slip would lock everybody out. Raises
    `InvalidInputError` when the two differ, `InvalidKeyError` when it is too short.
    """
    if url != "passphrase:" or not out.can_ask:
        return drivers.key_provider(url)
    from strongroom.key_providers.passphrase import PassphraseProvider, check_length

    passphrase = out.hidden("New passphrase: ")
    check_length(passphrase)  # before it is typed again for nothing
    if out.hidden("The same again: ") != passphrase:
        raise InvalidInputError("the two were not the same; nothing was changed")
    return PassphraseProvider(lambda: passphrase)

"""`rm`, `undelete` and `destroy`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError, SecretNotFoundError
from strongroom.manager.manager import SecretsManager

VERSIONS = Option("--version", "this version instead of the current one", "N", number=True, many=True)
EXITS = (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)


def rm(args: Arguments, out: Output) -> None:
    """Hide a secret."""
    _mark(
        args, out, lambda secrets, versions: secrets.delete_secret(args.name, versions), "deleted; `undelete` undoes it"
    )


def undelete(args: Arguments, out: Output) -> None:
    """Show it again."""
    _mark(args, out, lambda secrets, versions: secrets.undelete_secret(args.name, versions), "undeleted")


def destroy(args: Arguments, out: Output) -> None:
    """Remove ciphertext."""
    if args.with_history and args.version:
        raise InvalidInputError("--with-history removes all versions; leave --version out")
    which = f"version {', '.join(map(str, args.version))}" if args.version else "all versions"
    if not args.yes:
        question = f"Destroy {which} of {args.name} for good?"
        if not out.can_ask:
            raise InvalidInputError("destroying cannot be undone: say --yes when there is no terminal to ask on")
        if not out.agrees(question, default=False):
            raise InvalidInputError("nothing was destroyed")

    def step(secrets: SecretsManager, versions: Sequence[int] | None) -> bool:
        return secrets.destroy_secret(args.name, versions, with_history=args.with_history)

    _mark(args, out, step, f"{which} destroyed" + (", and its history" if args.with_history else ""))


def _mark(
    args: Arguments, out: Output, step: Callable[[SecretsManager, Sequence[int] | None], bool], done: str
) -> None:
    with session.manager(args) as secrets:
        changed = step(secrets, args.version or None)
        if not changed and secrets.metadata(args.name) is None:
            raise SecretNotFoundError(f"there is no secret {args.name!r}; `strongroom list` shows names")
    if out.json:
        out.document({"name": args.name, "changed": changed})
    else:
        out.say(f"{args.name}: {done if changed else 'it was so already, and nothing was changed'}")


COMMANDS = {
    "rm": Command(
        rm,
        "NAME",
        (VERSIONS,),
        exits=EXITS,
        description="""\
Hides the current version of a secret, or those named with --version: they are not read or listed any more. Their
ciphertext stays until `destroy`, so `undelete` brings them back. `delete` is the same command.""",
        examples="""\
strongroom rm OLD_TOKEN               hide it
strongroom rm API_TOKEN --version 3   hide one version
strongroom undelete OLD_TOKEN         show it again""",
    ),
    "undelete": Command(
        undelete,
        "NAME",
        (VERSIONS,),
        exits=EXITS,
        description="Shows the current version of a secret, or those named with --version, again after `rm`.",
        examples="""\
strongroom undelete OLD_TOKEN               show it again
strongroom undelete API_TOKEN --version 3   show one version again""",
    ),
    "destroy": Command(
        destroy,
        "NAME",
        (
            Option("--version", "this version instead of all", "N", number=True, many=True),
            Option("--with-history", "remove the versions' numbers and times too, as if the secret had never been"),
            Option("--yes", "do not ask", short="-y"),
        ),
        exits=EXITS,
        description="""\
Removes the ciphertext of all versions of a secret, or of those named with --version, from the store for good, and
cleans the store's files of what is left of it. That it was there stays on record. Copies and backups of the store are
not reached: rotate the value where it is used.""",
        examples="""\
strongroom destroy OLD_TOKEN                  remove all versions, after a question
strongroom destroy API_TOKEN --version 1 -y   remove one version, without a question
strongroom destroy OLD_TOKEN --with-history   remove its history too""",
    ),
}

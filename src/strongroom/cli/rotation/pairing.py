"""`rotate setup-two`: a second account, so that two take turns and no log-in is refused."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from strongroom.cli import session
from strongroom.cli.arguments import Arguments
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError
from strongroom.manager.manager import SecretsManager
from strongroom.rotation.pairing import LACKS_USERNAME
from strongroom.urls import shown_rotator

if TYPE_CHECKING:
    from strongroom.rotation.pairing import SecondAccount


def set_up_two(args: Arguments, out: Output) -> None:
    """Print what makes the second account, or make it."""
    if args.other is None:
        raise InvalidInputError(f"--other is missing: `strongroom rotate setup-two {args.name} --other ACCOUNT`")
    if args.add_username and not args.apply:
        raise InvalidInputError("--add-username goes with --apply; without it nothing is changed")
    with session.manager(args) as secrets:
        if args.apply:
            _apply(secrets, args, out)
        else:
            _show(secrets.rotation.second_account(args.name, args.other), args, out)


def _show(second: SecondAccount, args: Arguments, out: Output) -> None:
    attach = f"strongroom rotate {shlex.quote(args.name)} --attach {shlex.quote(second.url)}"
    if out.json:
        out.document(_document(second, args) | {"attach": attach, "lacks_username": second.lacks_username})
        return
    for statement in second.statements:
        out.data(statement if statement.rstrip().endswith(";") else f"{statement};")
    out.say(f"{args.name}: run these as the administrator, then: {attach}")
    out.say(f"{args.name}: --apply does both, and keeps the period and the grace time")
    if second.lacks_username:
        out.warn(f"{args.name!r} {LACKS_USERNAME}")


def _apply(secrets: SecretsManager, args: Arguments, out: Output) -> None:
    plan = secrets.rotation.second_account(args.name, args.other)
    agreed = args.add_username
    if plan.lacks_username and not agreed and out.can_ask:
        agreed = out.agrees(f"{args.name!r} {LACKS_USERNAME}. Add the field?", default=False)
        if not agreed:
            raise InvalidInputError("nothing was changed")
    second = secrets.rotation.make_second_account(args.name, args.other, add_username=agreed)
    if out.json:
        out.document(_document(second, args))
        return
    out.say(f"{args.name}: the second account {args.other} is made, and rotated by {shown_rotator(second.url)}")
    if second.lacks_username:
        out.say(f"{args.name}: it has the field username now, and programs must log in with that too")
    out.say(f"{args.name}: `strongroom rotate {args.name}` gives the second account its turn")


def _document(second: SecondAccount, args: Arguments) -> dict[str, object]:
    return {
        "name": args.name, "other": args.other, "statements": list(second.statements), "url": second.url,
        "applied": bool(args.apply),
    }  # fmt: skip

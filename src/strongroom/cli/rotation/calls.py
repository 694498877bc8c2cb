"""Which options of `rotate` go together: one that means nothing in a call is an error, and never left out quietly."""

from __future__ import annotations

from strongroom.cli.arguments import Arguments
from strongroom.errors import InvalidInputError

_VALUE = {"stdin", "prompt", "file", "raw", "allow_empty", "generate", "length", "alphabet", "value", "cas"}
_SCHEDULE = {"every", "grace", "grace_for"}
FORMS = {
    "NAME": _VALUE | {"wait", "force"},
    "--attach": {"attach", "force"} | _SCHEDULE,
    "--every, --grace": _SCHEDULE,
    "--detach": {"detach", "force"},
    "--dry-run": {"dry_run"},
    "--due": {"due", "wait"},
    "--all": {"all", "wait"},
    "status": set(),
    "check": set(),
    "resume": {"wait"},
    "abort": {"force"},
    "retire": {"force"},
    "setup-two": {"other", "apply", "add_username"},
}
"""For each way to call `rotate`, the options that mean something there."""
_CHOOSE = ("attach", "detach", "dry_run", "due", "all")
"""Options that say what to do, of which there is one."""
_A_VALUE = "is about the new value: `strongroom rotate NAME`"
_A_SCHEDULE = "is about an attached rotator: `strongroom rotate NAME --attach URL`, or NAME alone once it has one"
_MEANINGS = {
    **dict.fromkeys(_VALUE, _A_VALUE),
    **dict.fromkeys(_SCHEDULE, _A_SCHEDULE),
    "wait": "says how long to wait for running processes: `rotate NAME`, --due, --all and `rotate resume`",
    "force": "goes on although something is in the way: `rotate NAME`, --attach, --detach, `rotate abort` and "
    "`rotate retire`",
    "other": "names the second account: `strongroom rotate setup-two NAME --other ACCOUNT`",
    "apply": "runs the statements: `strongroom rotate setup-two NAME --other ACCOUNT --apply`",
    "add_username": "goes with `strongroom rotate setup-two NAME --other ACCOUNT --apply`",
}


def form_of(args: Arguments, *, is_name: bool = False) -> str:
    """Return the way in which `rotate` is called, a key of `FORMS`; raises `InvalidInputError` for one that is none.

    The first word is an action where it is the word of one, unless it `is_name`.
    """
    given = {name for options in FORMS.values() for name in options if getattr(args, name) not in (None, False, [])}
    chosen = [name for name in _CHOOSE if name in given]
    if len(chosen) > 1:
        raise InvalidInputError(f"{_flag(chosen[0])} and {_flag(chosen[1])} exclude each other; give one")
    form = _form(args, chosen[0] if chosen else "", given, is_name)
    if strange := sorted(given - FORMS[form]):
        name = strange[0]
        meaning = _MEANINGS.get(name, "is another way to call rotate")
        raise InvalidInputError(f"{_flag(name)} {meaning}. It means nothing with {_shown(form)}; nothing was changed")
    return form


def _form(args: Arguments, chosen: str, given: set[str], is_name: bool) -> str:
    if not is_name and args.what in ("status", "check", "resume", "abort", "retire", "setup-two"):
        if args.name is None and args.what not in ("status", "resume"):
            raise InvalidInputError(f"NAME is missing: `strongroom rotate {args.what} NAME`")
        return str(args.what)
    if chosen in ("due", "all"):
        if args.what is not None:
            raise InvalidInputError(f"{_flag(chosen)} takes no NAME: it is about every secret with a rotator")
        return _flag(chosen)
    if args.what is None:
        raise InvalidInputError("NAME is missing; --help shows how to call this command")
    if chosen:
        return _flag(chosen)
    # A period alone changes the attachment, and rotates nothing.
    return "--every, --grace" if given & _SCHEDULE else "NAME"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(form: str) -> str:
    if form.startswith("--every"):
        return "--every or --grace, which change when a rotator is due and rotate nothing"
    return form if form.startswith("--") else f"`strongroom rotate {form}`"

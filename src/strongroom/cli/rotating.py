"""`rotate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from strongroom.cli import session, times, values
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.cli.writing import CAS, NO_VALUE, about, tell
from strongroom.errors import ConflictError, InvalidInputError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.model import check_name
from strongroom.rotation.clock import utc
from strongroom.urls import shown_rotator

if TYPE_CHECKING:
    from strongroom.info import VersionInfo
    from strongroom.rotation.consumers import Consumer
    from strongroom.rotation.status import RotationStatus

HOW_TO_ATTACH = "`strongroom rotate NAME --attach URL` attaches one"


def rotate(args: Arguments, out: Output) -> int | None:
    """Rotate one secret, several, or look after a rotation."""
    if args.name is not None:
        if args.what not in ACTIONS:
            raise InvalidInputError(f"rotate takes one NAME, and {NO_VALUE}")
        return ACTIONS[args.what](args, out)
    if args.what in ("status", "resume"):
        return ACTIONS[args.what](args, out)
    if args.due or args.all:
        return _several(args, out)
    if args.what is None:
        raise InvalidInputError("NAME is missing; --help shows how to call this command")
    args.name = check_name(args.what)
    if args.attach is not None or args.detach:
        _attach(args, out)
    elif args.dry_run:
        _check(args, out)
    else:
        _one(args, out)
    return None


def _one(args: Arguments, out: Output) -> None:
    values.one_of(args, "stdin", "prompt", "value", "generate", "file")
    if args.prompt and not out.can_ask:
        raise InvalidInputError("--prompt needs a terminal; pipe the new value in and say --stdin")
    with session.manager(args) as secrets:
        value = _new_value(args, out)
        with _told_when_stopped(secrets, args.name, out):
            if secrets.rotation.has_rotator(args.name):
                _tell_who_holds_it(secrets, args.name, out)
                made = secrets.rotation.rotate(
                    args.name, new_value=value, cas=args.cas, wait=_span(args, "wait"), force=args.force
                )
            else:
                made = secrets.rotate_secret(args.name, value, args.cas)
        tell(out, args.name, made)
        if secrets.rotation.has_rotator(args.name):
            _tell_what_is_left(secrets, args.name, out)


def _new_value(args: Arguments, out: Output) -> str | bytes | None:
    """Return the value that the options ask for, None for a generated one of the usual kind."""
    if args.stdin:
        return values.from_stdin(args, out)
    if args.prompt or args.value is not None or args.file is not None:
        return values.from_source(args, out, f"New value of {args.name}")
    return values.generated(args) if args.length is not None or args.alphabet is not None else None


def _several(args: Arguments, out: Output) -> int | None:
    if args.what is not None:
        raise InvalidInputError("--due and --all take no NAME")
    with session.manager(args) as secrets:
        if args.due:
            return _due(secrets, args, out)
        names = [status.name for status in secrets.rotation.status()]
        if not names:
            out.say(f"no secret has a rotator; {HOW_TO_ATTACH}")
        return _each(names, lambda name: _finish_or_rotate(secrets, name, _span(args, "wait")), secrets, out)


def _due(secrets: SecretsManager, args: Arguments, out: Output) -> int | None:
    """Rotate and finish what is due; a second process that does the same at once does the rest, or nothing.

    All are rotated before the first is waited for. One that only waits for the end of its grace time is passed over
    in silence, as a timer that runs each hour would else mail the same line each time.
    """
    found = {status.name: status for status in secrets.rotation.status() if status.name in secrets.rotation.due()}
    if not found:
        out.say("nothing is due")
    made: list[str] = []

    def work(name: str) -> VersionInfo | None:
        now = secrets.rotation.status(name)[0]
        if now.running or (now.step, now.version) != (found[name].step, found[name].version):
            return None  # somebody else is at it, or was
        try:
            version = _finish_or_rotate(secrets, name, 0.0)
        except ConflictError:
            after = secrets.rotation.status(name)[0]
            if after.running or after.version != now.version:
                return None
            raise
        made.append(name)
        return None if now.step == "promoted" == secrets.rotation.status(name)[0].step else version

    code = _each(found, work, secrets, out, tells=False)
    ends = time.monotonic() + _span(args, "wait")
    for name in made:
        status = secrets.rotation.status(name)[0]
        if status.step == "promoted" and not status.running:
            if status.consumers and found[name].step != "promoted":
                with suppress(StrongroomError):
                    secrets.rotation.resume(name, wait=max(0.0, ends - time.monotonic()))
            if found[name].step != "promoted":
                _tell_what_is_left(secrets, name, out)
    return code


def _finish_or_rotate(secrets: SecretsManager, name: str, wait: float) -> VersionInfo:
    unfinished = secrets.rotation.status(name)[0].step != "idle"
    act = secrets.rotation.resume if unfinished else secrets.rotation.rotate
    return act(name, wait=wait)


def _each(
    names: Iterable[str], work: Callable[[str], VersionInfo | None], secrets: SecretsManager, out: Output, *,
    tells: bool = True,
) -> int | None:  # fmt: skip
    """Do the same for each, and let no failure keep the others from it; return the last one's exit code."""
    code, documents = None, []
    for name in names:
        try:
            with _told_when_stopped(secrets, name, out):
                made = work(name)
            if made is None:
                continue
            if out.json:
                documents.append(about(name, made))
            else:
                tell(out, name, made)
            if tells:
                _tell_what_is_left(secrets, name, out)
        except StrongroomError as error:
            out.error(error)
            code = error.exit_code
    if out.json:
        out.document(documents)
    return code


@contextmanager
def _told_when_stopped(secrets: SecretsManager, name: str, out: Output) -> Iterator[None]:
    """Say what Ctrl-C has left, since the source may have the new value already."""
    try:
        yield
    except KeyboardInterrupt:
        step = secrets.rotation.status(name)[0].step
        if step != "idle":
            out.warn(
                f"a rotation of {name!r} is not finished ({step}): `strongroom rotate resume {name}` finishes it"
                + ("" if step == "promoted" else f", `strongroom rotate abort {name}` undoes it")
            )
        raise


def _tell_who_holds_it(secrets: SecretsManager, name: str, out: Output) -> None:
    """Say whom a rotation is going to reach, and whom it is not."""
    status = secrets.rotation.status(name, holders=True)[0]
    if status.step != "idle":
        return
    for who in _holders(status):
        out.say(f"{name}: held by {who}")


def _holders(status: RotationStatus) -> list[str]:
    """Return who holds the value that a rotation retires: live, read once, unknown."""
    live = {(consumer.process.host, consumer.process.pid) for consumer in status.consumers}
    found = [f"{consumer.label}, live: it switches by itself" for consumer in status.consumers if not status.before]
    found += [f"{consumer.label}, live, and has not switched" for consumer in status.laggards if status.before]
    found += [
        f"{holder.label}, until it reads again or ends"
        if not holder.handed_out
        else f"{holder.label}: unknown, so until the grace time ends"
        for holder in status.holders
        if (holder.host, holder.pid) not in live
    ]
    if not status.all_known:
        found.append("others that the audit log does not tell")
    return found


def _tell_what_is_left(secrets: SecretsManager, name: str, out: Output) -> None:
    status = secrets.rotation.status(name)[0]
    if status.step != "promoted":
        return
    status = secrets.rotation.status(name, holders=True)[0]
    for who in _holders(status):
        out.say(f"{name}: version {status.before} is held by {who}")
    late = ", ".join(consumer.label for consumer in status.laggards) or "processes without a live handle"
    out.say(
        f"the previous value stays valid for {late}, until {utc(status.grace_ends or 0)} at the latest; `strongroom "
        f"rotate resume {name}` or --due retires it"
    )


def _attach(args: Arguments, out: Output) -> None:
    if args.attach is not None and args.detach:
        raise InvalidInputError("--attach and --detach exclude each other")
    with session.manager(args) as secrets:
        if args.detach:
            secrets.rotation.detach(args.name, force=args.force)
            out.say(f"{args.name}: no rotator")
            return
        every = None if args.every is None else times.span(args.every, "--every")
        grace = None if args.grace is None else times.span(args.grace, "--grace")
        said = secrets.rotation.attach(args.name, args.attach, every=every, grace=grace, force=args.force)
        status = secrets.rotation.status(args.name)[0]
    out.say(f"{args.name}: rotated by {shown_rotator(args.attach)}")
    for text in said:
        out.say(f"{args.name}: {text}")
    if args.force and status.step == "idle":
        out.warn(f"the source was not asked; `strongroom rotate check {args.name}` asks it")


def _span(args: Arguments, name: str) -> float:
    text = getattr(args, name)
    return 5.0 if text is None else times.span(text, f"--{name}")


def _status(args: Arguments, out: Output) -> None:
    with session.manager(args) as secrets:
        found = secrets.rotation.status(args.name, holders=args.name is not None)
    if out.json:
        out.document([_document(status) for status in found])
        return
    if not found:
        out.say(f"no secret has a rotator; {HOW_TO_ATTACH}")
        return
    heads = ("NAME", "STEP", "VERSION", "ROTATOR", "DUE", "GRACE ENDS", "LAGGARDS", "ERROR")
    out.rows(heads, [
        (s.name, s.step + (" (running)" if s.running else ""), s.version, s.rotator, times.iso(s.due),
         times.iso(s.grace_ends), ", ".join(c.label for c in s.laggards) or None, s.error)
        for s in found
    ])  # fmt: skip
    for status in found:
        for who in _holders(status) if args.name is not None else ():
            out.say(f"{status.name}: version {status.before or status.version} is held by {who}")
        if status.step == "promoted" and not status.keeps_previous:
            out.say(f"{status.name}: new log-ins with the previous value are refused already")
        if status.advice is not None:
            out.warn(f"{status.name}: {status.advice}")


def _document(status: RotationStatus) -> dict[str, Any]:
    def shown(consumer: Consumer) -> dict[str, Any]:
        process = consumer.process
        return {
            "service": consumer.service, "pid": process.pid, "host": process.host, "version": consumer.version,
            "since": consumer.since, "stopped": process.is_stopped,
        }  # fmt: skip

    moments = {field: times.iso(getattr(status, field)) for field in ("due", "started", "grace_ends")}
    holders = [holder._asdict() | {"time": times.iso(holder.time)} for holder in status.holders]
    people = {field: [shown(consumer) for consumer in getattr(status, field)] for field in ("consumers", "laggards")}
    return status._asdict() | moments | people | {"holders": holders}


def _resume(args: Arguments, out: Output) -> int | None:
    with session.manager(args) as secrets:
        if args.name is not None:
            with _told_when_stopped(secrets, args.name, out):
                tell(out, args.name, secrets.rotation.resume(args.name, wait=_span(args, "wait")))
            _tell_what_is_left(secrets, args.name, out)
            return None
        left = [status.name for status in secrets.rotation.status() if status.step != "idle" and not status.running]
        if not left:
            out.say("no rotation is left to finish")
        return _each(left, lambda name: secrets.rotation.resume(name, wait=_span(args, "wait")), secrets, out)


def _check(args: Arguments, out: Output) -> None:
    """Ask the source, and say what a rotation would do; change nothing."""
    with session.manager(args) as secrets:
        before = secrets.rotation.status(args.name)[0]
        if before.step != "idle":
            raise ConflictError(
                f"{args.name!r} is being rotated ({before.step}): {before.advice or 'wait for that to end'}",
                name=args.name,
            )
        said = secrets.rotation.check(args.name)
    out.say(f"{args.name}: version {before.version} is accepted, and a rotation would begin well; nothing was changed")
    for text in said:
        out.say(f"{args.name}: {text}")


def _abort(args: Arguments, out: Output) -> None:
    with session.manager(args) as secrets:
        secrets.rotation.abort(args.name, force=args.force)
    out.say(f"{args.name}: keeps its current value")


def _retire(args: Arguments, out: Output) -> None:
    with session.manager(args) as secrets:
        secrets.rotation.retire(args.name, force=args.force)
    out.say(f"{args.name}: the previous value is retired")


ACTIONS: dict[str, Callable[[Arguments, Output], int | None]] = {
    "status": _status,
    "check": _check,
    "resume": _resume,
    "abort": _abort,
    "retire": _retire,
}

COMMANDS = {
    "rotate": Command(
        rotate,
        "[WHAT] [NAME]",
        (
            Option("--stdin", "read the new value from standard input"),
            Option("--prompt", "ask for the new value"),
            *values.SOURCES,
            CAS,
            Option("--due", "rotate every secret whose period is over, and finish what was left"),
            Option("--all", "rotate every secret that has a rotator"),
            Option("--attach", "let this rotator rotate the secret from now on", "URL"),
            Option("--detach", "let no rotator rotate the secret"),
            Option("--every", "with --attach: how often it is due, such as 30d", "SPAN"),
            Option("--grace", "with --attach: how long the previous value stays valid, such as 1h", "SPAN"),
            Option("--wait", "how long to wait for running processes to switch (default 5s)", "SPAN"),
            Option("--dry-run", "ask the source whether a rotation would go well, and change nothing"),
            Option(
                "--force",
                "go on although: the source refuses the current value (NAME), cannot be asked (abort, --attach, "
                "--detach), or processes hold the previous value (retire)",
            ),
        ),
        exits=(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        excess=NO_VALUE,
        description="""\
`rotate NAME` replaces the value of a secret and prints the number of the new version, never the value. Without an
option a value is generated: 32 letters and digits. Every process that reads the secret from now on gets the new one;
the one before stays readable as the previous version (`strongroom get NAME --version N`).

A secret with a rotator (--attach) is rotated at its source too, in stages: the new value is stored as pending, set at
the source, tested, promoted to be the current one. The previous value is retired at the source when every running
process with a live handle has taken the new one up, or when the grace time ends (1h unless --grace says otherwise).
Killed at any moment, a rotation goes on with `rotate resume`.

`rotate status [NAME]` shows rotators, steps, due times and the processes that still hold the previous value;
`rotate resume [NAME]` finishes what was interrupted or waits for processes; `rotate abort NAME` gives the source the
current value back; `rotate retire NAME` retires the previous value now; `rotate check NAME` asks the source whether it
accepts the current value and whether all that a rotation needs is there, as --attach and each rotation do first.
Secrets with the names of these five words are rotated by the library or by --due.""",
        about="""\
Rotators:
  generate:length=32&alphabet=alphanumeric   a new value, without a source
  postgresql://ADMIN@HOST/DATABASE?role=ROLE&admin_secret=NAME   a role's password; with other=ROLE two take turns
  mysql://ADMIN@HOST?user=USER&admin_secret=NAME   an account of MariaDB or MySQL; with other=USER two take turns
  redis://ADMIN@HOST?user=USER&admin_secret=NAME   a user of Redis
  command:/PATH                              a program: the step as argument, a JSON request on standard input
  webhook:https://HOST/PATH#key=NAME         a service: a JSON request, signed with the secret NAME

ADMIN's password is the secret NAME. The page docs/rotation.md has the options of each.""",
        examples="""\
strongroom rotate SESSION_KEY                    a generated value
strongroom rotate SESSION_KEY --length 64        a longer one
strongroom rotate POSTGRES_PASSWORD --prompt     ask for the new value
new-password | strongroom rotate API_TOKEN --stdin   read it from a pipe
strongroom rotate SESSION_KEY --attach generate: --every 30d   rotate it each month
strongroom rotate check DB_PASSWORD              would a rotation go well?
strongroom rotate --due                          for a timer: rotate what is due
strongroom rotate status                         who still holds a previous value""",
    ),
}

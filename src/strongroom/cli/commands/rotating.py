"""`rotate`."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.cli import values
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.commands.writing import CAS, NO_VALUE
from strongroom.cli.output import Output
from strongroom.cli.rotation import attaching, pairing, resuming
from strongroom.cli.rotation.calls import form_of
from strongroom.cli.rotation.one import rotate_one
from strongroom.cli.rotation.several import rotate_several
from strongroom.cli.rotation.status import show_status
from strongroom.errors import InvalidInputError
from strongroom.model import check_name


def rotate(args: Arguments, out: Output) -> int | None:
    """Rotate one secret, several, or look after a rotation."""
    is_name = args.what == "now" and args.name is not None
    if is_name:
        args.what, args.name = args.name, None
    if args.name is not None and args.what not in ACTIONS:
        raise InvalidInputError(f"rotate takes one NAME, and {NO_VALUE}")
    form = form_of(args, is_name=is_name)
    if form in ACTIONS:
        return ACTIONS[form](args, out)
    if form in ("--due", "--all"):
        return rotate_several(args, out)
    args.name = check_name(args.what)
    return WITH_NAME[form](args, out)


WITH_NAME: dict[str, Callable[[Arguments, Output], int | None]] = {
    "NAME": rotate_one,
    "--attach": attaching.attach,
    "--detach": attaching.detach,
    "--every, --grace": attaching.reschedule,
    "--dry-run": resuming.check,
}
ACTIONS: dict[str, Callable[[Arguments, Output], int | None]] = {
    "status": show_status,
    "check": resuming.check,
    "resume": resuming.resume,
    "abort": resuming.abort,
    "retire": resuming.retire,
    "setup-two": pairing.set_up_two,
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
            Option("--every", "how often an attached rotator is due, such as 30d; alone it changes that", "SPAN"),
            Option("--grace", "how long the previous value stays valid, such as 1h; alone it changes that", "SPAN"),
            Option(
                "--grace-for", "a grace time of its own for a service; again for another", "SERVICE=SPAN", many=True
            ),
            Option("--wait", "how long to wait for running processes to switch (default 5s)", "SPAN"),
            Option("--dry-run", "ask the source whether a rotation would go well, and change nothing"),
            Option("--other", "with setup-two: the second account", "ACCOUNT"),
            Option("--apply", "with setup-two: make the second account, and attach the pair"),
            Option("--add-username", "with setup-two --apply: the secret gets the field username beside its text"),
            Option(
                "--force",
                "go on although: the source refuses the current value (NAME), cannot be asked (abort, --attach, "
                "--detach), or processes hold the previous value (retire)",
            ),
        ),
        exits=(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        excess=NO_VALUE,
        description="""\
`rotate NAME` replaces the value of a secret and prints the number of the new version, never the value. The rotator of
the secret (--attach) makes the new value and tells its source. Nobody is told of the new value of a secret without a
rotator: there, name a value or --generate (32 letters and digits), or a human is asked. Every process that reads the
secret from now on gets the new one; the one before stays readable as the previous version (`strongroom get NAME
--version N`), and `strongroom rollback` goes back. What is piped in is read with --stdin, and refused without.

A secret with a rotator (--attach) is rotated at its source too, in stages: the new value is stored as pending, set at
the source, tested, promoted to be the current one. The previous value is retired at the source when every running
process with a live handle has taken the new one up, or when the grace time ends (1h unless --grace says otherwise).
Killed at any moment, a rotation goes on with `rotate resume`.

`rotate status [NAME]` shows rotators, steps, due times and the processes that still hold the previous value;
`rotate resume [NAME]` finishes what was interrupted or waits for processes; `rotate abort NAME` gives the source the
current value back; `rotate retire NAME` retires the previous value now; `rotate check NAME` asks the source whether it
accepts the current value and whether all that a rotation needs is there, as --attach and each rotation do first;
`rotate setup-two NAME --other ACCOUNT` prints the statements that make a second account, so that two can take turns,
and --apply runs them. `rotate now NAME` is `rotate NAME` in full, for a secret with the name of one of these words.

--every and --grace without --attach change when a rotator is due that is attached already, and rotate nothing.""",
        about="""\
Rotators:
  generate:length=32&alphabet=alphanumeric   a new value, without a source
  postgresql://ADMIN@HOST/DATABASE?role=ROLE&admin_secret=NAME   a role's password; with other=ROLE two take turns
  mysql://ADMIN@HOST?user=USER&admin_secret=NAME   an account of MariaDB or MySQL; with other=USER two take turns
  redis://ADMIN@HOST?user=USER&admin_secret=NAME   a user of Redis
  command:/PATH                              a program: the step as argument, a JSON request on standard input
  webhook:https://HOST/PATH#key=NAME         a service: a JSON request, signed with the secret NAME

ADMIN's password is the secret NAME. The page docs/rotators.md has the options of each.""",
        examples="""\
strongroom rotate DB_PASSWORD                    by its rotator, now
strongroom rotate now status                     the same for a secret with the name of an action
strongroom rotate SESSION_KEY --generate         a generated value
strongroom rotate SESSION_KEY --length 64        a longer one
strongroom rotate POSTGRES_PASSWORD --prompt     ask for the new value
new-password | strongroom rotate API_TOKEN --stdin   read it from a pipe
strongroom rotate SESSION_KEY --attach generate: --every 30d   rotate it each month
strongroom rotate SESSION_KEY --every 60d        every two months instead
strongroom rotate check DB_PASSWORD              would a rotation go well?
strongroom rotate --due                          for a timer: rotate what is due
strongroom rotate status                         who still holds a previous value""",
    ),
}

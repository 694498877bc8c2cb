"""`render`: secrets as files, for programs that read files."""

from __future__ import annotations

import signal
import time

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.memory_file import IN_MEMORY, file_system_of
from strongroom.cli.output import Output, counted
from strongroom.delivery import rendering
from strongroom.delivery.watching import TICK, Watch
from strongroom.errors import InvalidInputError, SecretNotFoundError, StrongroomError

RETRY = 1.0
"""Seconds to wait after a failure."""
TRIES = 5


def render(args: Arguments, out: Output) -> None:
    """Write the files, and with `--watch` keep them as the store is."""
    mode = _mode(args.mode)
    _check_in_memory(args, args.dir)
    with session.manager(args) as secrets:
        watch = Watch(secrets)
        files = _rendered(args, watch, mode, None)
        out.say(f"{args.dir}: {counted(len(files), 'file')}")
        if args.watch:
            _follow(args, watch, mode, files, out)


def _check_in_memory(args: Arguments, path: str) -> None:
    if not args.allow_disk and file_system_of(path) not in IN_MEMORY:
        raise InvalidInputError(
            f"{args.dir} does not lie in memory (tmpfs), and a disk would keep the values; choose a directory below "
            "/run or /dev/shm, or say --allow-disk"
        )


def _follow(args: Arguments, watch: Watch, mode: int, files: dict[str, bytes], out: Output) -> None:
    """Render again after each change, until SIGTERM."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    failed = ""
    while not stopped:
        try:
            if watch.due():
                files = _rendered(args, watch, mode, files)
            failed = ""
        except StrongroomError as error:
            watch.again()
            if str(error) != failed:
                failed = str(error)
                out.warn(f"the files stay as they are: {failed}")
            time.sleep(RETRY)
        time.sleep(TICK)


def _rendered(args: Arguments, watch: Watch, mode: int, before: dict[str, bytes] | None) -> dict[str, bytes]:
    """Read the secrets and write their files, unless these are as `before`; returns them."""
    files: dict[str, bytes] = {}
    # Read again when somebody wrote meanwhile, so that the set is one of one moment; not for ever, in a busy store.
    for _ in range(TRIES):
        watch.looking()
        files = {}
        for name in args.only.split(",") if args.only else watch.list_secrets():
            data = watch.get_data(name)
            # One that is missing was named, or has expired since it was written: there is no file for it then. At the
            # start that is an error, since a program may be about to start without its secret.
            if data is not None:
                files |= rendering.files_of(name, data)
            elif before is None and args.only:
                raise SecretNotFoundError(f"there is no secret {name!r}; nothing was written", name=name)
        if not watch.due():
            break
    if files != before:
        # Judged once more by its descriptor: what is at the path may be another directory by now.
        rendering.render(args.dir, files, mode, lambda at: _check_in_memory(args, f"/proc/self/fd/{at}"))
    return files


def _mode(text: str | None) -> int:
    mode = int(text, 8) if text and len(text) <= 4 and set(text) <= set("01234567") else 0o400 if text is None else 0
    if not mode & 0o400 or mode & ~0o444:
        raise InvalidInputError("--mode takes 0400, 0440 or 0444: who may read, and nobody writes")
    return mode


COMMANDS = {
    "render": Command(
        render,
        "DIR",
        (
            Option("--only", "these secrets only", "NAME,NAME"),
            Option("--mode", "the mode of the files: 0400 (default), 0440 or 0444", "MODE"),
            Option("--watch", "keep the files as the store is, until SIGTERM"),
            Option("--allow-disk", "DIR may lie on a disk, which keeps what was once written"),
        ),
        exits=(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 130),
        description="""\
Writes each secret to a file of the directory DIR, for programs that read files. The file holds the value and nothing
else. A name with / makes directories; a secret of several fields makes one file for each, NAME/FIELD.

DIR must lie in memory (tmpfs or ramfs) and be its owner's alone; it is made when there is none. Files have mode 0400.
The whole set changes at once, as in Kubernetes: the names are links through ..data, which is renamed. So a program
that wants several secrets of one moment opens DIR/..data once, and the files below it. Files of secrets that are
gone are removed, other things in DIR are left alone. Neither DIR nor a directory on the way may be a symbolic link,
except for links of root's in directories of root's, such as /var/run. The new set is on the disk before the switch.

With --watch the files follow the store within a second. While the store cannot be read they stay as they are, with a
warning. They are left when it ends.""",
        about="""\
With systemd and containers:
  RuntimeDirectory=app, RuntimeDirectoryMode=0700 and ExecStartPre=strongroom render /run/app/secrets give a service
  its files. From what a unit before it has rendered, LoadCredential=NAME:DIR/NAME takes one file, and the service does
  not start without it; LoadCredential=ID:DIR/..data takes all, as ID_NAME; ImportCredential=NAME takes one from
  DIR=/run/credstore, if it is there. A container gets the whole directory as a volume, --mount
  type=bind,source=DIR,target=/run/secrets: a mount of one file would not follow its link.""",
        examples="""\
strongroom render /run/app/secrets                              every secret
strongroom render /dev/shm/app --only POSTGRES_PASSWORD,TOKEN   two of them
strongroom render /run/app/secrets --watch                      as long as the service runs
strongroom render secrets --allow-disk                          where there is no tmpfs""",
    ),
}

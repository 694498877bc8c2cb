"""`allow`: believe settings and keys that were found, and that go beyond what is believed of itself."""

from __future__ import annotations

import os

from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.settings import bounds, permits
from strongroom.settings import config as configuration
from strongroom.system import files


def allow(args: Arguments, out: Output) -> None:
    """Allow, list or revoke."""
    if args.list and (args.revoke or args.dir):
        raise InvalidInputError("--list shows everything that is allowed; it takes neither DIR nor --revoke")
    if args.config:
        raise InvalidInputError("a file that --config names needs no permission")
    if args.list:
        _list(out)
    elif args.revoke:
        _revoke(os.path.abspath(args.dir or "."), out)
    else:
        _allow(args.dir or ".", out)


def _allow(directory: str, out: Output) -> None:
    if not os.path.isdir(directory):
        raise InvalidInputError(f"there is no directory {directory}")
    # Whatever the environment overrides now, it may not next time.
    reviewed = configuration.review({}, os.path.abspath(directory))
    project = reviewed.project.directory
    for claim in reviewed.claims:
        permits.remember(claim.identity, project, claim.text)
        if claim.key:
            # The permission ends with the file's next change, `chmod 400` included; the note at the file does not.
            files.mark(claim.key)
    if out.json:
        out.document({"directory": project, "allowed": [claim.text for claim in reviewed.claims]})
    elif not reviewed.claims:
        out.say(f"{reviewed.project.settings or project} needs no permission")
    else:
        out.say(f"allowed from now on in {project}, until it changes:")
        for claim in reviewed.claims:
            out.say(f"  {claim.text}")


def _list(out: Output) -> None:
    allowed = [(project, text) for _, project, text in permits.entries()]
    if out.json:
        out.document([{"directory": project, "allowed": text} for project, text in allowed])
    else:
        out.rows(("DIRECTORY", "ALLOWED"), allowed)


def _revoke(directory: str, out: Output) -> None:
    projects, key = {directory}, None
    try:
        reviewed = configuration.review({}, directory)
    except StrongroomError:
        reviewed = None
    if reviewed is not None:
        projects.add(reviewed.project.directory)
        key = bounds.path_in("key", reviewed.config.key)
        if key is not None:
            files.unmark(key)
    count = sum(permits.forget(project) for project in projects)
    if out.json:
        out.document({"directory": directory, "revoked": count})
    elif key is not None:
        out.say(f"forgotten: {counted(count, 'permission')}, and that the key {key} is known here")
    else:
        out.say(f"forgotten: {counted(count, 'permission')}")


COMMANDS = {
    "allow": Command(
        allow,
        "[DIR]",
        (
            Option("--list", "list what is allowed"),
            Option("--revoke", "forget what is allowed in DIR"),
        ),
        exits=(0, 2),
        description="""\
Settings, a key or a store that were found in the working directory or above may be a stranger's, brought along by a
clone or an archive. So settings that were found reach no file outside of their directory and weaken neither the audit
log nor a check, and a key that was found must have been made here. What goes beyond is refused until you allow it.

`strongroom allow` prints what the project at DIR (by default the working directory) wants beyond that, and allows
exactly this content. When the content changes, it needs permission again. Permissions are remembered in
$XDG_STATE_HOME/strongroom, by default ~/.local/state/strongroom.

What you name needs no permission (--config, --store, --key, --audit and their variables), nor does what root has put
where you cannot write. Permission does not help where others can write: name the file there, or move it.""",
        examples="""\
strongroom allow               the project that you are in
strongroom allow ~/billing     another one
strongroom allow --list        what you have allowed so far
strongroom allow --revoke      take it back""",
    ),
}

"""`edit`: change a secret in an editor, without its plaintext on a disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from functools import partial
from typing import Any

from strongroom.cli import environment, session
from strongroom.cli.arguments import Arguments, Command
from strongroom.cli.editors import OTHERS, Editor, editor_of
from strongroom.cli.memory_file import STOPPING, private_file
from strongroom.cli.output import Output
from strongroom.errors import ConflictError, InvalidInputError, InvalidValueError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.model import check_name
from strongroom.records.data import encode

WAITED = (signal.SIGCHLD, *STOPPING)
TICK = 0.1
"""Seconds to the next look at the editor, should another thread have taken the signal that tells of its end."""


def edit(args: Arguments, out: Output) -> None:
    """Read, let the human edit, write if it changed."""
    name = check_name(args.name)
    editor = editor_of(os.environ)
    if editor.kind is None:
        out.warn(
            f"{editor.name} is not known to keep no copies: if it writes backups, undo files or a history, the value "
            f"is in them; {OTHERS} to be sure"
        )
    config = session.settings(args)
    # The editor does not get the master key.
    variables = environment.base(os.environ, environment.key_variables(config.key), pristine=False)
    with session.open_with(config) as secrets, private_file("secret.txt") as path:
        known = secrets.metadata(name)
        cas = known.current if known else 0
        data = secrets.get_data(name, version=cas) if known else None
        text = _shown(name, data)
        _write(path, text)
        while True:
            _run_editor(editor, path, variables)
            try:
                _store(secrets, name, text, path, cas, structured=_structured(data), out=out)
            except StrongroomError as error:
                if not out.can_ask:
                    raise
                cas = _again(error, cas, out)
                continue
            return


def _structured(data: dict[str, Any] | None) -> bool:
    return data is not None and list(data) != ["value"]


def _shown(name: str, data: dict[str, Any] | None) -> str:
    """Return what the editor shows: the text, or the fields as JSON. A line feed ends it, as editors have it."""
    if _structured(data):
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    value = (data or {"value": ""})["value"]
    if not isinstance(value, str):
        raise InvalidValueError(f"the value of {name!r} is not text; replace it with `strongroom set {name} --file`")
    return value + "\n"


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(text.encode())


def _run_editor(editor: Editor, path: str, variables: dict[str, str]) -> None:
    """Wait for the editor."""
    directory = os.path.dirname(path)
    command, variables = editor.command(directory, path), editor.variables(variables, directory)
    start = directory if editor.kind and editor.kind.home else None
    # Ctrl-C is the editor's. A handler and not SIG_IGN, which the editor would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    # Not left to the handlers: a signal just before this program knows of the editor, or waits for it, would be lost.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    unblock = partial(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
    try:
        code = _wait(subprocess.Popen(command, env=variables, cwd=start, preexec_fn=unblock))  # noqa: S603
    except OSError as error:
        raise InvalidInputError(
            f"the editor {editor.name} cannot be run: {error.strerror}; set VISUAL or EDITOR"
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)
        unblock()
    if code:
        raise StrongroomError(f"the editor failed (exit code {code}), so nothing was changed")


def _wait(running: subprocess.Popen[bytes]) -> int:
    """Return the exit code of the editor; a signal that ends this program ends the editor first."""
    try:
        while running.poll() is None:
            came = signal.sigtimedwait(WAITED, TICK)
            if came and came.si_signo in STOPPING:
                raise SystemExit(128 + came.si_signo)
    finally:
        if running.returncode is None:
            running.kill()
            running.wait()
    return running.returncode


def _store(
    secrets: SecretsManager, name: str, before: str, path: str, cas: int, *, structured: bool, out: Output
) -> None:
    with open(path, "rb") as file:
        content = file.read()
    if content == before.encode():
        out.say(f"{name}: nothing was changed")
        return
    value = _parsed(content, structured)
    encode(value)
    made = secrets.set_secret(name, value, cas)
    out.say(f"{name}: version {made.version}")


def _parsed(content: bytes, structured: bool) -> Any:
    try:
        text = content.decode()
        value = json.loads(text) if structured else text.removesuffix("\n")
    except (ValueError, RecursionError):
        value = None
    # Raised outside the handler: the parser's exception holds the document.
    if value is None or (structured and not isinstance(value, dict)):
        raise InvalidValueError(f"this is no {'JSON object of fields' if structured else 'UTF-8 text'}")
    if not value:
        raise InvalidValueError("it is empty, so nothing was changed; `strongroom rm` removes a secret")
    return value


def _again(error: StrongroomError, cas: int, out: Output) -> int:
    """Ask what to do with a text that was not written; return the version that it shall replace."""
    out.error(error)
    if isinstance(error, ConflictError) and error.version is not None:
        question = f"Somebody made version {error.version} meanwhile. Edit your text again, to replace that one?"
        if out.agrees(question, default=False):
            return error.version
    elif out.agrees("Edit it again?", default=True):
        return cas
    raise error


COMMANDS = {
    "edit": Command(
        edit,
        "NAME",
        exits=(0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 130),
        description="""\
Opens a secret in $VISUAL or $EDITOR and stores a new version if it was changed. A plain secret is shown as its text,
one with several fields as a JSON object. A name that does not exist is made.

The plaintext is in a file that only you can read, in memory (a tmpfs: $XDG_RUNTIME_DIR or /dev/shm), and is
overwritten and removed whatever happens, short of SIGKILL; without a tmpfs the command refuses.

vim, nvim, nano, emacs, hx, micro, kak and joe start without your configuration, so that no setting or plug-in makes
them write backups, swap, undo or history files. Editors that keep copies whatever they are told (VS Code, JetBrains,
Sublime Text, Zed) or edit in another process (emacsclient) are refused. Before any other editor there is a warning.

When somebody else stored a version meanwhile, that is a conflict: you are asked whether your text shall replace it.""",
        examples="""\
strongroom edit POSTGRES_PASSWORD        change it in your editor
EDITOR=nano strongroom edit auth/db      in another one""",
    ),
}

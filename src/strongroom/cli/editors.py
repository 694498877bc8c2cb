"""Editors that can be told to keep no copy of what they edit, and those that cannot.

An editor copies its text to backups, swap, undo and history files. Settings that are given before the user's own lose
to them, and a configuration is a program that can do anything. So an editor that is known starts without the user's
configuration, with options that come after all others, and with the places of its state in the private directory.
One that shares a process with other windows, or keeps a history that no option switches off, is refused.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from strongroom.errors import InvalidInputError

_VIM = "set nobackup nowritebackup noundofile noswapfile nomodeline"
_VIM_STARTS = ("-u", "NONE", "-i", "NONE", "-n", "--noplugin", "-f")
_VIM_ELSEWHERE = ("--remote", "--server", "-S", "-s", "-w", "-W")
_EMACS = (
    "(setq make-backup-files nil auto-save-default nil auto-save-list-file-prefix nil create-lockfiles nil"
    " enable-local-variables nil enable-local-eval nil enable-dir-local-variables nil)"
)


class Kind(NamedTuple):
    """How the editors of one kind are kept from writing copies; `{}` stands for the private directory."""

    names: Sequence[str]
    first: Sequence[str] = ()
    """Options before the user's."""
    last: Sequence[str] = ()
    """Options after the user's."""
    spoiled_by: Sequence[str] = ()
    """Beginnings of those options of the user that ours do not win over."""
    clusters: bool = False
    """Its options of one letter can share a word: `-BC`."""
    home: bool = False
    """It has files in the home or working directory that no option names: it gets others."""

    def is_spoiled(self, word: str) -> bool:
        """True for an option of the user that ours do not win over."""
        if self.clusters and word.startswith("-") and not word.startswith("--"):
            return any(len(option) == 2 and option[1] in word for option in self.spoiled_by)
        return any(word.startswith(option) for option in self.spoiled_by)


KINDS = (
    Kind(
        ("vim", "rvim", "gvim", "rgvim"),
        last=(*_VIM_STARTS, "-N", "-U", "NONE", "--cmd", f"{_VIM} viminfo= backspace=2", "-c", f"{_VIM} viminfo="),
        spoiled_by=_VIM_ELSEWHERE,
    ),
    Kind(("nvim",), last=(*_VIM_STARTS[:-1], "--cmd", _VIM, "-c", f"{_VIM} shada="), spoiled_by=_VIM_ELSEWHERE),
    Kind(("nano", "rnano"), last=("--ignorercfiles",), spoiled_by=("-C", "--backupd"), clusters=True, home=True),
    Kind(("nano-tiny",), home=True),
    Kind(
        ("emacs",), first=("-Q",), last=("--eval", _EMACS),
        spoiled_by=("-l", "--l", "-f", "--f", "-e", "--e", "-u", "--u", "--daemon", "--bg-daemon"),
    ),
    Kind(("hx", "helix"), last=("--config", "/dev/null", "--log", "{}/helix.log")),
    Kind(("micro",), last=("-config-dir", "{}"), home=True),
    Kind(("kak",), first=("-n",), spoiled_by=("-c", "-s", "-d", "-e", "-E", "-p", "-f"), home=True),
    Kind(("joe", "rjoe", "jmacs", "jpico", "jstar"), last=("-nobackups",), spoiled_by=("-backpath",), home=True),
    Kind(("busybox",), home=True),
)  # fmt: skip
OTHERS = "set VISUAL to vim, nvim, nano, emacs, hx, micro, kak or joe"
_HISTORY, _SESSION, _SERVER = "a history of each file", "a session with the texts", "another process"
REFUSED = {
    **dict.fromkeys(("code", "code-insiders", "code-oss", "codium", "vscodium", "cursor", "windsurf", "positron"),
                    _HISTORY),
    **dict.fromkeys(("idea", "pycharm", "charm", "webstorm", "goland", "clion", "phpstorm", "rubymine", "rider"),
                    _HISTORY),
    **dict.fromkeys(("subl", "sublime_text", "atom", "pulsar", "zed", "zeditor"), _SESSION),
    **dict.fromkeys(("emacsclient", "nvr"), _SERVER),
}  # fmt: skip
"""Editors whose copies of a text no option can prevent, and where these are."""


class Editor(NamedTuple):
    """A command line of the user, and what is known about it."""

    words: Sequence[str]
    at: int
    """Which of the words is the editor, after `env` and such."""
    kind: Kind | None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.words[self.at]

    def command(self, directory: str, path: str) -> list[str]:
        """Return what to run, to edit the file `path` with all copies in the private directory."""
        words = list(self.words)
        if self.kind is None:
            return [*words, path]
        # An absolute path, since the working directory may be another one.
        words[self.at] = os.path.abspath(shutil.which(self.name) or self.name)
        last = [word.replace("{}", directory) for word in self.kind.last]
        return [*words[: self.at + 1], *self.kind.first, *words[self.at + 1 :], *last, path]

    def variables(self, environ: Mapping[str, str], directory: str) -> dict[str, str]:
        """Return the editor's environment."""
        moved = ["TMPDIR"]
        if self.kind is not None:
            moved += ["XDG_STATE_HOME", "XDG_CACHE_HOME"]
            moved += ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] if self.kind.home else []
        return {**environ, **dict.fromkeys(moved, directory)}


def editor_of(environ: Mapping[str, str]) -> Editor:
    """Return the editor of $VISUAL or $EDITOR.

    Raises `InvalidInputError` when there is none, and for one that is known to keep copies elsewhere.
    """
    words = _words(environ.get("VISUAL") or environ.get("EDITOR") or "", "VISUAL or EDITOR")
    if words and os.path.basename(words[0]) == "sensible-editor":
        words = [*_selected(environ), *words[1:]]
    at = 0
    while at < len(words) - 1 and (os.path.basename(words[at]) == "env" or "=" in words[at]):
        at += 1
    if not words:
        raise InvalidInputError("no editor: set VISUAL or EDITOR, such as EDITOR=vim")
    real = os.path.realpath(shutil.which(words[at]) or words[at])
    names = [name for path in (real, words[at]) for name in _spellings(os.path.basename(path))]
    for name in names:
        if name in REFUSED:
            raise InvalidInputError(
                f"{name} keeps copies of what it edits ({REFUSED[name]}), and the value would be among them; {OTHERS}, "
                "or use `strongroom set`"
            )
    kind = next((kind for name in names for kind in KINDS if name in kind.names), None) or _vi(words[at], names)
    if kind and any(map(kind.is_spoiled, words[at + 1 :])):
        kind = None
    if kind and kind.home and os.path.basename(real) == "snap":
        # A snap does not start with another home.
        kind = None
    return Editor(words, at, kind)


def _words(text: str, variable: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise InvalidInputError(f"{variable} cannot be split into words: a quotation mark is missing") from None


def _selected(environ: Mapping[str, str]) -> list[str]:
    """Return what Debian's `sensible-editor` would run, which does not hand options on to it in every case."""
    try:
        with open(os.path.join(environ.get("HOME", "/"), ".selected_editor"), encoding="utf-8") as file:
            chosen = [line.partition("=")[2] for line in file if line.startswith("SELECTED_EDITOR=")]
    except (OSError, UnicodeDecodeError):
        chosen = []
    # The name is quoted once more, as the file is a script.
    quoted = " ".join(_words(chosen[-1], "SELECTED_EDITOR")) if chosen else ""
    return _words(quoted, "SELECTED_EDITOR") or ["editor"]


def _spellings(name: str) -> list[str]:
    """Return a program's name as it is and without what packages add: vim.basic, emacs-nox, emacs-28.2."""
    plain = name.partition(".")[0]
    short = plain.partition("-")[0]
    return [name, plain, *([short] if short in ("emacs", "emacsclient") else [])]


def _vi(program: str, names: Sequence[str]) -> Kind | None:
    """Tell by its version which editor a program called `vi` is: a small Vim may have no other name."""
    if not {"vi", "ex", "view"}.intersection(names):
        return None
    try:
        done = subprocess.run(  # noqa: S603
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=2, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return KINDS[0] if done.stdout.startswith(b"VIM - Vi IMproved") else None

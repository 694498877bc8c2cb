"""The only module that prints: data to standard output, words for humans to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TextIO

from strongroom.errors import InvalidInputError, StrongroomError

STYLES = {"ok": "32", "warn": "33", "FAIL": "1;31", "head": "1"}


class Output:
    """Where a command speaks to, as the global options `--json` and `--quiet` say."""

    def __init__(self, args: SimpleNamespace) -> None:
        self._args = args

    @property
    def json(self) -> bool:
        """True when data and errors shall be JSON."""
        return bool(self._args.json)

    @property
    def quiet(self) -> bool:
        """True when remarks shall be left out."""
        return bool(self._args.quiet)

    # Data

    def data(self, value: str | bytes, end: str = "\n") -> None:
        """Write a text in UTF-8 and `end`, or bytes as they are."""
        if sys.stdout is None:
            raise StrongroomError("standard output is closed, so there is nowhere to print to")
        left = memoryview(value if isinstance(value, bytes) else (value + end).encode("utf-8", "surrogatepass"))
        with _writing():
            while left:
                # Unbuffered (PYTHONUNBUFFERED), it may take a part only.
                left = left[sys.stdout.buffer.write(left) :]

    def document(self, value: Any) -> None:
        """Print one JSON document."""
        self.data(json.dumps(value, indent=2, ensure_ascii=False))

    def rows(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table: aligned with heads on a terminal, else one line of tab-separated columns for each row."""
        texts = [["-" if cell is None else printable(str(cell)) for cell in row] for row in rows]
        if not self.on_terminal:
            for row in texts:
                self.data("\t".join(row))
            return
        widths = [max(len(row[i]) for row in [list(heads), *texts]) for i in range(len(heads))]
        for number, row in enumerate([list(heads), *texts]):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.data(styled("head", line, sys.stdout) if number == 0 else line)

    def check(self, state: str, what: str, advice: str = "") -> None:
        """Print one line of a check: `state` is `ok`, `warn` or `FAIL`."""
        more = f" — {printable(advice)}" if advice else ""
        self.data(f"{styled(state, state.ljust(4), sys.stdout)}  {printable(what)}{more}")

    @property
    def on_terminal(self) -> bool:
        """True when data goes to a terminal."""
        return sys.stdout is not None and sys.stdout.isatty()

    def flush(self) -> None:
        """Hand everything to the kernel, so that a full disk is noticed."""
        if sys.stdout is not None:
            with _writing():
                sys.stdout.flush()

    # Words

    def say(self, text: str) -> None:
        """Remark something to the human."""
        if not self.quiet:
            self._stderr(text)

    def warn(self, text: str) -> None:
        """Warn, even when quiet."""
        self._stderr(f"strongroom: {styled('warn', 'warning:', sys.stderr)} {printable(text)}")

    def error(self, error: StrongroomError) -> None:
        """Say what went wrong, on one line."""
        if self.json:
            about = {"error": error.code, "message": str(error), "exit_code": error.exit_code}
            self._stderr(json.dumps(about, ensure_ascii=False))
        else:
            self._stderr(f"strongroom: {printable(str(error))}")

    def crashed(self, kind: str, place: str) -> None:
        """Say that there is a fault in strongroom; the exception's own words might hold a value."""
        message = f"unexpected {kind} at {place}; nothing more is shown, as it could hold a secret"
        if self.json:
            self._stderr(json.dumps({"error": "crashed", "message": message, "exit_code": 70}))
        else:
            self._stderr(f"strongroom: {message}")

    def _stderr(self, text: str) -> None:
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)

    # Questions

    @property
    def can_ask(self) -> bool:
        """True when there is a human to answer."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()

    def agrees(self, question: str, *, default: bool) -> bool:
        """Ask a question of yes or no; Enter takes `default`, and the end of the input (Ctrl-D) is a no."""
        choices = "[Y/n]" if default else "[y/N]"
        print(f"{printable(question)} {choices} ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            self.end_line()
            return False
        answer = line.strip().lower()
        return default if not answer else answer in ("y", "yes")

    def hidden(self, prompt: str) -> str:
        """Read a line that the terminal does not show; raises `InvalidInputError` when the input ends (Ctrl-D)."""
        from getpass import getpass

        try:
            return getpass(printable(prompt))
        except EOFError:
            self.end_line()
            raise InvalidInputError("nothing was typed, and nothing was changed") from None

    def end_line(self) -> None:
        """Begin a new line on a terminal, after a question that was not answered."""
        if sys.stderr is not None and sys.stderr.isatty():
            self._stderr("")

    # Long work

    def progress(self, what: str) -> Callable[[int, int], None] | None:
        """Return what draws a progress bar, or None when nobody looks."""
        if self.quiet or self.json or sys.stderr is None or not sys.stderr.isatty():
            return None
        return lambda done, total: self._bar(what, done, total)

    def _bar(self, what: str, done: int, total: int) -> None:
        filled = 30 * done // max(total, 1)
        end = "\n" if done >= total else ""
        print(f"\r{what} [{'#' * filled:<30}] {done:,}/{total:,}", end=end, file=sys.stderr, flush=True)


@contextmanager
def _writing() -> Iterator[None]:
    """Translate what goes wrong with standard output; the reader having gone away is left as it is."""
    try:
        yield
    except BrokenPipeError:
        _forget()
        raise
    except OSError as error:
        _forget()
        raise StrongroomError(f"standard output cannot be written: {error.strerror}") from None


def _forget() -> None:
    """Send what is left in the buffer nowhere, or the interpreter would complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def styled(style: str, text: str, stream: TextIO | None) -> str:
    """Colour `text` if `stream` is a terminal that wants colours."""
    if stream is None or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def counted(count: int, thing: str) -> str:
    """Return `1 file`, `2 files`, `1,000 files`."""
    return f"{count:,} {thing if count == 1 else 'entries' if thing == 'entry' else thing + 's'}"


def printable(text: str) -> str:
    """Return `text` on one line and without what a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

"""Where `set` and `rotate` get a value from. Never from the command line, unless it is asked for by name."""

from __future__ import annotations

import sys

from strongroom.cli.arguments import Arguments, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError, InvalidValueError
from strongroom.model import MAX_VALUE_BYTES

ALPHABETS = ("alphanumeric", "ascii", "hex", "digits", "urlsafe", "words")
SOURCES = (
    Option("--file", "read the value from a file", "PATH"),
    Option("--raw", "keep a line feed at the end of standard input or of the file"),
    Option("--allow-empty", "an empty value is meant"),
    Option("--generate", "make the value: random letters and digits"),
    Option("--length", "how many characters (default 32) or words (default 6) --generate makes", "N", number=True),
    Option("--alphabet", "the characters that --generate takes, or words for a passphrase", "NAME", choices=ALPHABETS),
    Option("--value", "the value itself: seen in process lists and the shell's history", "VALUE"),
)
ABOUT = """\
The value is read from a prompt that does not show it (twice), or when standard input is not a terminal, from there:
one line feed at its end is left out (--raw keeps it), and what is not UTF-8 becomes a value of bytes, exactly as it
is. An empty value is refused unless --allow-empty says that it is meant, since it mostly means that the
program before the pipe failed."""


def from_source(args: Arguments, out: Output, prompt: str) -> str | bytes:
    """Return the value from the one source that the options name, else from a prompt or standard input."""
    if args.value is not None:
        out.warn("a value on the command line is seen in process lists and the shell's history; pipe it in instead")
        return _meant(args.value, args)
    if args.generate:
        return generated(args)
    if args.file is not None:
        return _meant(_stripped(read_file(args.file, out), args.raw), args)
    return _meant(asked(args, out, prompt), args)


def check_sources(args: Arguments, *sources: str, reads: bool) -> None:
    """Raise `InvalidInputError` for options that name several sources of a value, or that none of them takes.

    `reads` is True where standard input is read when no source is named.
    """
    one_of(args, *sources)
    given = next((name for name in sources if getattr(args, name) not in (None, False, [])), "stdin" if reads else "")
    shown = f"--{given.replace('_', '-')}" if given else "a generated value"
    if (args.length is not None or args.alphabet is not None) and given not in ("generate", ""):
        raise InvalidInputError("--length and --alphabet are for a generated value (--generate); nothing was changed")
    if args.raw and given not in ("stdin", "file", "field"):
        raise InvalidInputError(f"--raw is for a value that is read (--file, standard input), not for {shown}")
    if args.allow_empty and given not in ("stdin", "file", "value", "prompt"):
        raise InvalidInputError(f"--allow-empty means nothing with {shown}")


def from_stdin(args: Arguments, out: Output) -> str | bytes:
    """Return standard input, terminal or not."""
    return _meant(_stripped(read_stdin(out), args.raw), args)


def asked(args: Arguments, out: Output, prompt: str) -> str | bytes:
    """Return what a human types twice, or standard input."""
    if not out.can_ask:
        return _stripped(read_stdin(out), args.raw)
    value = out.hidden(f"{prompt}: ")
    if out.hidden("The same again: ") != value:
        raise InvalidInputError("the two were not the same; nothing was changed")
    return value


def one_of(args: Arguments, *attributes: str) -> None:
    """Raise `InvalidInputError` when several of these options were given."""
    given = [f"--{name.replace('_', '-')}" for name in attributes if getattr(args, name) not in (None, False, [])]
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} exclude each other; give one")


def generated(args: Arguments) -> str:
    """Return a random value of the length and alphabet asked for."""
    from strongroom.generate import generate

    return generate.generate_by_name(args.alphabet or "alphanumeric", args.length)


def read_stdin(out: Output) -> bytes:
    """Return all of standard input."""
    if sys.stdin is None:
        raise InvalidInputError("standard input is closed, so there is no value; pipe it in")
    if sys.stdin.isatty():
        out.say("reading from the terminal, which shows what is typed; Ctrl-D on a separate line ends it")
    return _checked(sys.stdin.buffer.read(MAX_VALUE_BYTES + 2))


def read_file(path: str, out: Output) -> bytes:
    """Return the contents of a file, or of standard input for `-`."""
    if path == "-":
        return read_stdin(out)
    try:
        with open(path, "rb") as file:
            return _checked(file.read(MAX_VALUE_BYTES + 2))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from None


def _checked(content: bytes) -> bytes:
    if len(content) > MAX_VALUE_BYTES + 1:
        raise InvalidValueError(f"there are more than {MAX_VALUE_BYTES:,} bytes; that is no secret's value")
    return content


def text_or_bytes(content: bytes) -> str | bytes:
    """Return text where it is UTF-8, whatever the locale says."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _stripped(content: bytes, raw: bool) -> str | bytes:
    value = text_or_bytes(content)
    return value if raw or isinstance(value, bytes) else value.removesuffix("\n").removesuffix("\r")


def _meant(value: str | bytes, args: Arguments) -> str | bytes:
    if not value and not args.allow_empty:
        raise InvalidValueError("the value is empty, and nothing was changed; if that is meant, say --allow-empty")
    return value

"""The command line. Here: from words to a command, and from an error to an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from strongroom.cli import process
from strongroom.cli.arguments import GLOBAL, VERSION, Arguments, Command, bind, parse
from strongroom.cli.output import Output
from strongroom.cli.overview import ALIASES, COMMANDS, GROUPS
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.opening import StrongroomWarning

CRASHED, INTERRUPTED, PIPE_CLOSED = 70, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = Arguments(**{option.attribute: option.absent for option in (*GLOBAL, VERSION)})
    out = Output(args)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        process.harden()
        code = _run(words, args, out)
        out.flush()
        return code
    except StrongroomError as error:
        # What was wrong with the words may stand before this one; what follows `--` belongs to another program.
        own = words[: words.index("--")] if "--" in words else words
        args.json = args.json or (isinstance(error, InvalidInputError) and "--json" in own)
        out.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        out.end_line()
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED
    except Exception as error:
        out.crashed(type(error).__name__, process.place(error))
        return CRASHED


def _run(words: list[str], args: Arguments, out: Output) -> int:
    name, rest = _command(parse((*GLOBAL, VERSION), words, args, stop=True), args)
    if args.version or name not in COMMANDS:
        from strongroom.cli import help_pages

        if name not in (*GROUPS, ""):
            raise InvalidInputError(help_pages.unknown(name))
        if not (args.version or args.help):
            out.say(help_pages.overview(name))
            return InvalidInputError.exit_code
        out.data(help_pages.version() if args.version else help_pages.overview(name))
        return 0
    command: Command = import_module(f"strongroom.cli.commands.{COMMANDS[name].module}").COMMANDS[name]
    _read(command, rest, args)
    if args.help:
        from strongroom.cli import help_pages

        out.data(help_pages.page(name, command))
        return 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", StrongroomWarning)
        warnings.showwarning = lambda message, *_, **__: out.warn(str(message))
        return command.run(args, out) or 0


def _command(words: list[str], args: Arguments) -> tuple[str, list[str]]:
    """Return the command's name (of one or two words, or of a group, or none) and what follows it."""
    if not words or args.version:
        return "", []
    name = ALIASES.get(words[0], words[0])
    if name not in GROUPS:
        return name, words[1:]
    words = parse(GLOBAL, words[1:], args, stop=True)
    return (f"{name} {words[0]}", words[1:]) if words else (name, [])


def _read(command: Command, words: list[str], args: Arguments) -> None:
    """Enter the command's options and operands into `args`."""
    for option in command.options:
        setattr(args, option.attribute, option.absent)
    own = {option.flag for option in command.options}
    options = (*command.options, *(option for option in GLOBAL if option.flag not in own))
    operands = parse(options, words, args, stop=command.rest)
    if not args.help:
        bind(command, operands, args)

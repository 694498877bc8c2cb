"""Reads the command line: a table of commands and options instead of argparse.

argparse quotes what it does not understand, which is how a password typed in the wrong place ends up in a log; errors
here name options, never what was given. The table also makes the manual pages and the completion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from strongroom.errors import InvalidInputError

if TYPE_CHECKING:
    from strongroom.cli.output import Output

Arguments = SimpleNamespace
"""One attribute for each option and operand: `--max-versions` is `max_versions`, `NAME` is `name`."""


class Option:
    """A switch, or with a `metavar` an option that takes a value."""

    __slots__ = ("attribute", "choices", "flag", "help", "many", "metavar", "number", "short")

    def __init__(
        self, flag: str, meaning: str, metavar: str = "", *, short: str = "", many: bool = False, number: bool = False,
        choices: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.flag = flag
        self.attribute = flag.lstrip("-").replace("-", "_")
        self.help = meaning
        self.metavar = metavar
        self.short = short
        self.many = many
        self.number = number
        self.choices = choices

    @property
    def absent(self) -> Any:
        """The attribute's value when the option is not given."""
        return [] if self.many else None if self.metavar else False

    def read(self, text: str) -> Any:
        """Return the value that `text` stands for; raises `InvalidInputError`."""
        if self.number:
            if not (text.isascii() and text.isdigit() and len(text) < 12):
                raise InvalidInputError(f"{self.flag} takes a whole number of at most 11 digits")
            return int(text)
        if self.choices and text not in self.choices:
            raise InvalidInputError(f"{self.flag} takes one of: {', '.join(self.choices)}")
        return text


class Command:
    """One command: what it does, how it is called, and its manual page."""

    __slots__ = ("about", "description", "examples", "excess", "exits", "operands", "options", "rest", "run")

    def __init__(
        self, run: Callable[[Arguments, Output], int | None], operands: str = "", options: Sequence[Option] = (), *,
        description: str, examples: str, exits: Sequence[int], rest: bool = False, about: str = "",
        excess: str = "--help shows how to call it",
    ) -> None:  # fmt: skip
        self.run = run
        self.operands = operands.split()
        """`NAME` is needed, `[NAME]` is not, `NAME...` and `[NAME...]` are several."""
        self.options = options
        self.description = description
        self.examples = examples
        """One for each line: the command line, two spaces or more, what it does."""
        self.excess = excess
        """What to say to somebody who gave too many operands."""
        self.exits = exits
        """The exit codes that its page lists."""
        self.rest = rest
        """The first operand ends the options, since all that follows belongs to another program."""
        self.about = about
        """More sections of the manual page."""


GLOBAL = (
    Option("--store", "the store, such as sqlite:secrets.db or file:secrets.enc", "URL"),
    Option("--key", "where the master key is: env:VARIABLE, file:PATH, passphrase:", "URL"),
    Option("--audit", "the audit log, such as file:logs/secrets_audit.log", "URL"),
    Option("--actor", "who acts, for the audit log and the policy (default: the system's user)", "NAME"),
    Option("--config", "the file of settings, in place of the one that is found", "FILE"),
    Option("--json", "print data and errors as JSON"),
    Option("--quiet", "no remarks on standard error; warnings and errors are still shown", short="-q"),
    Option("--help", "show this page", short="-h"),
)
VERSION = Option("--version", "print the version of strongroom", short="-V")
"""Before the command only, as `get --version 3` asks for a version of a secret."""


def parse(options: Sequence[Option], words: Sequence[str], into: Arguments, *, stop: bool) -> list[str]:
    """Enter the options among `words` into `into`, and return the operands.

    With `stop` the first operand ends the options; `--` always does. Raises `InvalidInputError`.
    """
    known = {option.flag: option for option in options} | {option.short: option for option in options if option.short}
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*operands, *rest]
        if not word.startswith("-") or word == "-":
            operands.append(word)
            if stop:
                return [*operands, *rest]
            continue
        flag, equals, value = word.partition("=")
        option = known.get(flag)
        if option is None:
            raise InvalidInputError(f"there is no option {_shown(flag)} here; --help lists them")
        if not option.metavar:
            if equals:
                raise InvalidInputError(f"{option.flag} takes no value")
            setattr(into, option.attribute, True)
            continue
        value = value if equals else next(rest, "--")
        if not equals and value.startswith("--"):
            raise InvalidInputError(f"{option.flag} needs a value: {option.flag} {option.metavar}")
        read = option.read(value)
        setattr(into, option.attribute, [*getattr(into, option.attribute), read] if option.many else read)
    return operands


def bind(command: Command, given: list[str], into: Arguments) -> None:
    """Enter the operands into `into`; raises `InvalidInputError` when there are too few or too many."""
    for pattern in command.operands:
        optional, several = pattern.startswith("["), "..." in pattern
        name = pattern.strip("[].")
        if not given and not optional:
            raise InvalidInputError(f"{name} is missing; --help shows how to call this command")
        if several:
            taken: Any = given
            given = []
        else:
            taken, given = (given[0] if given else None), given[1:]
        setattr(into, name.lower(), taken)
    if given:
        wanted = " ".join(command.operands) or "no operands"
        raise InvalidInputError(f"this command takes {wanted}, but {len(given)} more came; {command.excess}")


def _shown(flag: str) -> str:
    """What does not look like an option may be a value that starts with a dash: show nothing of it."""
    name = flag.removeprefix("--").replace("-", "")
    plain = flag.startswith("--") and name.isascii() and name.islower() and name.isalpha() and len(flag) < 24
    return flag if plain else "like that"

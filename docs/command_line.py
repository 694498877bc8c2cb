"""Writes the second half of command-line.md from the command line's own tables: `python docs/command_line.py`.

A test compares the page with what this renders, so that neither can drift from the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from strongroom import errors
from strongroom.cli.arguments import GLOBAL, VERSION, Command, Option
from strongroom.cli.help_pages import ENVIRONMENT, EXIT_CODES
from strongroom.cli.overview import ALIASES, COMMANDS

PAGE = Path(__file__).with_name("command-line.md")
MARK = "<!-- What follows is written by docs/command_line.py -->\n"


def render() -> str:
    """Return everything below the mark."""
    parts = [
        *_section("Options of every command", _option_table([*GLOBAL, VERSION])),
        *_section(
            "Environment", _table(("variable", ""), ((_codes(name), what) for name, what in ENVIRONMENT.items()))
        ),
        *_section("Exit codes", _table(("code", ""), ((str(code), what) for code, what in EXIT_CODES.items()))),
        *_section("Errors", _error_table()),
        "## Commands",
    ]
    for name, entry in COMMANDS.items():
        command: Command = import_module(f"strongroom.cli.commands.{entry.module}").COMMANDS[name]
        parts += _command(name, entry.summary, command)
    return "\n" + "\n\n".join(parts) + "\n"


def _section(title: str, body: str) -> tuple[str, str]:
    return f"## {title}", body


def _command(name: str, summary: str, command: Command) -> Iterator[str]:
    usage = " ".join(["strongroom", name, *(["[OPTIONS]"] if command.options else []), *command.operands])
    yield f"### {name}"
    yield f"{summary[0].upper()}{summary[1:]}."
    yield f"```text\n{usage}\n```"
    yield from map(_paragraph, command.description.split("\n\n"))
    also = [f"`{alias}`" for alias, target in ALIASES.items() if target == name]
    if also:
        yield f"Also called: {', '.join(also)}."
    if command.options:
        yield _option_table(command.options)
    yield from map(_paragraph, filter(None, command.about.split("\n\n")))
    yield f"Exit codes: {', '.join(map(str, command.exits))}."
    yield "```sh\n" + "\n".join(map(_example, command.examples.splitlines())) + "\n```"


def _paragraph(text: str) -> str:
    if text.startswith("  "):
        return f"```text\n{text}\n```"
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in re.split("(`[^`]+`)", text))


def _escaped(text: str) -> str:
    return re.sub(r"([*<>\[\]|])", r"\\\1", text)


def _example(line: str) -> str:
    return re.sub(r"^(.*?\S\s{2,})(?=\S)", r"\1# ", line)


def _option_table(options: Iterable[Option]) -> str:
    return _table(("option", ""), ((_called(option), _explained(option)) for option in options))


def _called(option: Option) -> str:
    long = f"`{option.flag} {option.metavar}`" if option.metavar else f"`{option.flag}`"
    return f"`{option.short}`, {long}" if option.short else long


def _explained(option: Option) -> str:
    choices = f": {_codes(', '.join(option.choices))}" if option.choices else ""
    return _paragraph(option.help) + choices + (" (may be repeated)" if option.many else "")


def _codes(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _error_table() -> str:
    rows = (
        (f"`{kind.__name__}`", f"`{kind.code}`", str(kind.exit_code), str(kind.http_status), _first_line(kind))
        for kind in _tree(errors.StrongroomError)
    )
    return _table(("class", "code", "exit", "HTTP", ""), rows)


def _tree(kind: type[errors.StrongroomError]) -> Iterator[type[errors.StrongroomError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Renew the page."""
    written, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(written + (mark or MARK) + render(), encoding="utf-8")


if __name__ == "__main__":
    main()

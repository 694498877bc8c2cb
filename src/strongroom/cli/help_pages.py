"""The pages that `--help` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from strongroom.cli.arguments import GLOBAL, VERSION, Command, Option
from strongroom.cli.overview import ALIASES, COMMANDS, GROUPS

EXIT_CODES = {
    0: "all is well",
    1: "something failed for a reason that has no code of its own; doctor and selftest: a check failed;"
    " scan: a value was found, or something could not be read",
    2: "the call, a name, a value, a key or a setting cannot be right",
    3: "there is no such secret, version or store",
    4: "the master key is missing, or is not the one of this store",
    5: "the store or the audit log was tampered with, damaged or rolled back",
    6: "the policy denies it",
    7: "conflict: --cas did not match, or somebody else was faster",
    8: "the store cannot be read or written, exists already, or is busy",
    9: "the audit log cannot be written, so nothing was answered",
    10: "written by a newer strongroom; upgrade",
    11: "the source of a secret did not take, prove or refuse a value; the current one is kept",
    12: "who guards the master key does not answer now; try again later",
    70: "a fault in strongroom itself",
    126: "run: the program cannot be executed",
    127: "run: there is no such program",
    130: "interrupted with Ctrl-C",
    141: "the reader of standard output went away",
}
ENVIRONMENT = {
    "SECRETS_MASTER_KEY": "the master key, unless --key or a setting names another place",
    "STRONGROOM_PASSPHRASE": "the passphrase for the key provider passphrase:",
    "STRONGROOM_STORE, STRONGROOM_KEY, STRONGROOM_AUDIT, STRONGROOM_ACTOR": "like --store, --key, --audit, --actor",
    "STRONGROOM_CONFIG": "like --config",
    "NO_COLOR": "no colours, even on a terminal",
}


def version() -> str:
    """Return what `--version` prints."""
    from strongroom import __version__

    return f"strongroom {__version__}"


def overview(group: str = "") -> str:
    """Return the page without a command: all commands, or those of a group."""
    names = [name for name in COMMANDS if not group or name.split()[0] == group]
    usage = f"strongroom [OPTIONS] {group + ' ' if group else ''}COMMAND …"
    about = "Keeps secrets encrypted at rest, reads them at runtime, and puts every access on record."
    parts = [f"Usage: {usage}", about, _section("Commands", {name: COMMANDS[name].summary for name in names})]
    if group:
        return "\n\n".join([*parts, f"`strongroom {group} COMMAND --help` says more."])
    first = "  strongroom init                     make a store and a master key\n" + (
        "  strongroom set POSTGRES_PASSWORD    ask for a password, and store it\n"
        "  strongroom get POSTGRES_PASSWORD    print it\n"
        "  strongroom run -- python app.py     give it to a program in its environment"
    )
    return "\n\n".join(
        [
            *parts,
            _section("Options, before or after the command", _listed([*GLOBAL, VERSION])),
            _section("Environment", ENVIRONMENT),
            _section("Exit codes", {str(code): text for code, text in EXIT_CODES.items()}),
            f"First steps:\n{first}",
            "`strongroom COMMAND --help` says more. Settings are also read from strongroom.toml.",
        ]
    )


def page(name: str, command: Command) -> str:
    """Return the manual page of one command."""
    also = [alias for alias, target in ALIASES.items() if target == name]
    usage = " ".join(["strongroom", name, *(["[OPTIONS]"] if command.options else []), *command.operands])
    parts = [f"Usage: {usage}", f"{_sentence(COMMANDS[name].summary)}", command.description]
    if also:
        parts.append(f"Also called: {', '.join(also)}")
    if command.options:
        parts.append(_section("Options", _listed(command.options)))
    own = {option.flag for option in command.options}
    parts.append(_section("Global options", _listed(option for option in GLOBAL if option.flag not in own)))
    if command.about:
        parts.append(command.about)
    parts.append(_section("Environment", ENVIRONMENT))
    parts.append(_section("Exit codes", {str(code): EXIT_CODES[code] for code in command.exits}))
    parts.append("Examples:\n" + "\n".join(f"  {line}" for line in command.examples.splitlines()))
    return "\n\n".join(parts)


def unknown(name: str) -> str:
    """Return what to say of a command that is none."""
    from difflib import get_close_matches

    word = name.split()[0]
    close = get_close_matches(name, [*COMMANDS, *ALIASES], 1, 0.7)
    hint = f"did you mean `strongroom {close[0]}`?" if close else "`strongroom --help` lists them"
    shown = f"`strongroom {word}` has no such command" if word in GROUPS else "there is no such command"
    return f"{shown}; {hint}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _listed(options: Iterable[Option]) -> dict[str, str]:
    return {_called(option): _explained(option) for option in options}


def _called(option: Option) -> str:
    names = f"{option.short}, {option.flag}" if option.short else option.flag
    return f"{names} {option.metavar}" if option.metavar else names


def _explained(option: Option) -> str:
    more = f" ({', '.join(option.choices)})" if option.choices else ""
    return option.help + more + (" (may be repeated)" if option.many else "")


def _section(title: str, rows: dict[str, str], width: int = 100) -> str:
    """Return a list of terms and explanations; long terms get a line of their own."""
    column = min(max(len(term) for term in rows), 22) + 4
    lines = [f"{title}:"]
    for term, text in rows.items():
        start = f"  {term}".ljust(column)
        if len(start) > column:
            lines.append(start)
            start = " " * column
        for piece in _wrapped(text.split(), width - column):
            lines.append(start + piece)
            start = " " * column
    return "\n".join(lines)


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines

"""`completion`: scripts for shells, made from the same tables that the command line is read with."""

from __future__ import annotations

from importlib import import_module

from strongroom.cli import commands
from strongroom.cli.arguments import GLOBAL, Arguments, Command, Option
from strongroom.cli.commands import ALIASES
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError


def completion(args: Arguments, out: Output) -> None:
    """Print a script."""
    if args.shell not in SHELLS:
        raise InvalidInputError(f"SHELL is one of: {', '.join(SHELLS)}")
    out.data(SHELLS[args.shell](), end="")


def words_after() -> dict[str, list[str]]:
    """Return what may follow each beginning of a command line: `""`, a group, a command."""
    words: dict[str, list[str]] = {"": sorted({name.split()[0] for name in (*commands.COMMANDS, *ALIASES)})}
    for name in commands.COMMANDS:
        group, _, command = name.partition(" ")
        if command:
            words.setdefault(group, []).append(command)
        words[name] = [flag for option in options_of(name) for flag in _flags(option)]
    words["completion"] += SHELLS
    return words | {alias: words[name] for alias, name in ALIASES.items()}


def options_of(name: str) -> list[Option]:
    """Return the options that a command takes, global ones last."""
    command: Command = import_module(f"strongroom.cli.{commands.COMMANDS[name].module}").COMMANDS[name]
    return list({option.flag: option for option in (*GLOBAL, *command.options)}.values())


def _choices() -> dict[str, list[str]]:
    """Return the values of each option that takes one of a few, after its command: `set --alphabet`."""
    options = [(name, option) for name in commands.COMMANDS for option in options_of(name) if option.choices]
    return {f"{name} {flag}": list(option.choices) for name, option in options for flag in _flags(option)}


def _flags(option: Option) -> list[str]:
    return [flag for flag in (option.short, option.flag) if flag]


def bash() -> str:
    """Return the script for bash; zsh takes the same through bashcompinit."""
    cases = "\n".join(f'    "{line}") words="{" ".join(words)}" ;;' for line, words in words_after().items())
    choices = "\n".join(f'    "{line}") words="{" ".join(words)}" ;;' for line, words in _choices().items())
    return f"""\
# bash completion for strongroom: source <(strongroom completion bash)
_strongroom() {{
  local word line="" words="" current="${{COMP_WORDS[COMP_CWORD]}}" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "$word" in
    {"|".join(_with_values())}) ((i++)) ;;
    -*) ;;
    *) case "$line" in
      ""|{"|".join(_groups())}) line="${{line:+$line }}$word" ;;
      esac ;;
    esac
  done
  word="${{COMP_WORDS[COMP_CWORD-1]}}"
  case "$word" in
  {"|".join(_with_values())})
    case "$line $word" in
{choices}
    esac ;;
  *)
    case "$line" in
{cases}
    esac
    case "$line:$current" in
    *:-*) words="$words {" ".join(_global_flags())}" ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ ${{#COMPREPLY[@]}} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -F _strongroom strongroom
"""


def zsh() -> str:
    """Return the script for zsh."""
    return "# zsh completion for strongroom: source <(strongroom completion zsh)\n" + (
        "autoload -Uz compinit bashcompinit\n(( $+functions[compdef] )) || compinit\nbashcompinit\n\n" + bash()
    )


def fish() -> str:
    """Return the script for fish."""
    lines = ["# fish completion for strongroom: strongroom completion fish | source", "complete -c strongroom -f"]
    groups = _groups()
    for word in words_after()[""]:
        about = commands.COMMANDS[ALIASES.get(word, word)].summary if word not in groups else "several commands"
        lines.append(f"complete -c strongroom -n __fish_use_subcommand -a {word} -d {_quoted(about)}")
    for name in commands.COMMANDS:
        group, _, command = name.partition(" ")
        seen = f"__fish_seen_subcommand_from {group}"
        if command:
            there = " ".join(words_after()[group])
            first = _quoted(f"{seen}; and not __fish_seen_subcommand_from {there}")
            about = _quoted(commands.COMMANDS[name].summary)
            lines.append(f"complete -c strongroom -n {first} -a {command} -d {about}")
            seen += f"; and __fish_seen_subcommand_from {command}"
        for option in options_of(name):
            lines.append(f"complete -c strongroom -n {_quoted(seen)} {_fish_option(option)}")
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    long = f"-l {option.flag[2:]}" if option.flag.startswith("--") else f"-s {option.flag[1:]}"
    short = f" -s {option.short[1:]}" if option.short else ""
    value = f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r" if option.metavar else ""
    return f"{long}{short}{value} -d {_quoted(option.help)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _groups() -> list[str]:
    return sorted({name.split()[0] for name in commands.COMMANDS if " " in name})


def _global_flags() -> list[str]:
    return [flag for option in GLOBAL for flag in _flags(option)]


def _with_values() -> list[str]:
    """Return the options whose next word is their value."""
    options = [option for name in commands.COMMANDS for option in options_of(name) if option.metavar]
    return sorted({flag for option in options for flag in _flags(option)})


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
COMMANDS = {
    "completion": Command(
        completion,
        "SHELL",
        exits=(0, 2),
        description="""\
Prints a script that completes commands and options in bash, zsh or fish. Names of secrets are not completed: looking
them up at each press of a key would open the store and fill the audit log.""",
        examples="""\
source <(strongroom completion bash)                                        in ~/.bashrc
source <(strongroom completion zsh)                                         in ~/.zshrc
strongroom completion fish > ~/.config/fish/completions/strongroom.fish     once""",
    ),
}

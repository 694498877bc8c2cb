"""`completion`: scripts for shells, made from the same tables that the command line is read with."""

from __future__ import annotations

from strongroom.cli import completion_words as words
from strongroom.cli.arguments import GLOBAL, VERSION, Arguments, Command
from strongroom.cli.completion_fish import fish
from strongroom.cli.output import Output
from strongroom.cli.overview import GROUPS
from strongroom.errors import InvalidInputError


def completion(args: Arguments, out: Output) -> None:
    """Print a script."""
    if args.shell not in words.SHELLS:
        raise InvalidInputError(f"SHELL is one of: {', '.join(words.SHELLS)}")
    out.data(SCRIPTS[args.shell](), end="")


def bash() -> str:
    """Return the script for bash; zsh takes the same through bashcompinit.

    Options are offered where there is nothing else, or after a dash; where there is no word at all, readline completes
    the name of a file.
    """
    return f"""\
# bash completion for strongroom: source <(strongroom completion bash)
_strongroom() {{
  local line="" words="" option="" stem="" current="${{COMP_WORDS[COMP_CWORD]}}" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}" option=""
    case "$word" in
    --) line="$line --" ; break ;;
    -*) case "$line $word" in
      {_values_pattern()})
        option="$word"
        [[ "${{COMP_WORDS[i+1]}}" != "=" ]] || ((i++))
        ((i++)) ;;
      esac ;;
    *) case "$line" in
      ""|{"|".join(GROUPS)}) line="${{line:+$line }}$word" ;;
      run) line="$line --" ; break ;;
      esac ;;
    esac
  done
  ((i > COMP_CWORD)) || option=""
  case "$current" in
  =) current="" ;;
  --*=*) option="${{current%%=*}}" stem="${{current%%=*}}=" current="${{current#*=}}" ;;
  esac
  if [[ -n "$option" ]]; then
    case "$line $option" in
{_cases(_choices())}
    esac
  else
    case "$line" in
{_cases(_words())}
    {"|".join(_files())}|*" --") words=" " ;;
    esac
    if [[ "$current" == -* || -z "$words" ]]; then
      case "$line" in
{_cases(_flags())}
      esac
    fi
  fi
  COMPREPLY=($(compgen -P "$stem" -W "$words" -- "$current"))
}}
complete -o default -F _strongroom strongroom
"""


def _cases(table: dict[str, list[str]]) -> str:
    return "\n".join(f'    "{line}") words="{" ".join(found)}" ;;' for line, found in table.items())


def _values_pattern() -> str:
    patterns = [f'*" {flag}"' for option in GLOBAL if option.metavar for flag in words.flags([option])]
    patterns += [f'"{line} {flag}"' for line, name in words.lines().items() for flag in words.with_values(name)]
    return "|".join(patterns)


def _choices() -> dict[str, list[str]]:
    return {
        f"{line} {flag}": [*option.choices]
        for line, name in words.lines().items()
        for option in words.options_of(name)
        for flag in words.flags([option])
        if option.choices
    }


def _words() -> dict[str, list[str]]:
    found = {"": [*words.first_words()]} | {group: [*words.group_words(group)] for group in GROUPS}
    operands = {line: words.operand_words(name) for line, name in words.lines().items()}
    return found | {line: listed for line, listed in operands.items() if listed}


def _files() -> list[str]:
    return [f'"{line}"' for line, name in words.lines().items() if words.takes_files(name)]


def _flags() -> dict[str, list[str]]:
    found = {"": words.flags((*GLOBAL, VERSION))} | dict.fromkeys(GROUPS, words.flags(GLOBAL))
    return found | {line: words.flags(words.options_of(name)) for line, name in words.lines().items()}


def zsh() -> str:
    """Return the script for zsh."""
    return "# zsh completion for strongroom: source <(strongroom completion zsh)\n" + (
        "autoload -Uz compinit bashcompinit\n(( $+functions[compdef] )) || compinit\nbashcompinit\n\n" + bash()
    )


SCRIPTS = dict(zip(words.SHELLS, (bash, zsh, fish), strict=True))
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

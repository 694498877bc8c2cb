"""The completion script for fish."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.cli import completion_words as words
from strongroom.cli.arguments import GLOBAL, VERSION, Option
from strongroom.cli.overview import GROUPS


def fish() -> str:
    """Return the script for fish."""
    return _head() + "\n".join(_lines()) + "\n"


def _head() -> str:
    everywhere = words.flags(option for option in GLOBAL if option.metavar)
    own = [f"'{line} {flag}'" for line, name in words.lines().items() for flag in words.with_values(name)]
    return f"""\
# fish completion for strongroom: strongroom completion fish | source
function __strongroom_at -d 'true after this beginning of a command line'
  set -l line ''
  set -l value 0
  for word in (commandline -opc)[2..-1]
    if test $value = 1
      set value 0
    else if contains -- "$word" {" ".join(everywhere)}; or contains -- "$line $word" {" ".join(own)}
      set value 1
    else if test "$word" = --; or begin; test "$line" = run; and not string match -q -- '-*' "$word"; end
      set line "$line --"
      break
    else if not string match -q -- '-*' "$word"; and contains -- "$line" '' {" ".join(GROUPS)}
      set line (string trim -- "$line $word")
    end
  end
  test "$line" = "$argv"
end
complete -c strongroom -f
complete -c strongroom -n '__strongroom_at run --' -F
"""


def _lines() -> Iterator[str]:
    yield from _words("", words.first_words())
    for group in GROUPS:
        yield from _words(group, words.group_words(group))
        yield from (_option(group, option) for option in GLOBAL)
    yield from (_option("", option) for option in (*GLOBAL, VERSION))
    for line, name in words.lines().items():
        yield from _words(line, dict.fromkeys(words.operand_words(name), ""))
        if words.takes_files(name):
            yield f"{_at(line)} -F"
        yield from (_option(line, option) for option in words.options_of(name))


def _at(line: str) -> str:
    return f"complete -c strongroom -n {_quoted(f'__strongroom_at {line}'.rstrip())}"


def _words(line: str, found: dict[str, str]) -> Iterator[str]:
    for word, about in found.items():
        yield f"{_at(line)} -a {word}" + (f" -d {_quoted(about)}" if about else "")


def _option(line: str, option: Option) -> str:
    long = f"-l {option.flag[2:]}" if option.flag.startswith("--") else f"-s {option.flag[1:]}"
    short = f" -s {option.short[1:]}" if option.short else ""
    value = f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -rF" if option.metavar else ""
    return f"{_at(line)} {long}{short}{value} -d {_quoted(option.help)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

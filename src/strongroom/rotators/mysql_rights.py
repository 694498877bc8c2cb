"""What an account of MariaDB or MySQL may do (`SHOW GRANTS`): to compare two, and to give another one the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from strongroom.rotators.mysql_text import Word, account, words


class Grant(NamedTuple):
    """A line of `SHOW GRANTS`: what is granted, and where in the text the grantee stands."""

    text: str
    words: list[Word]
    grantee: int
    """The number of the word that is the grantee's name."""

    @property
    def what(self) -> list[Word]:
        """The words before the grantee, without the first, the verb, and the last, TO, FROM or FOR."""
        return self.words[1 : self.grantee - 1]

    @property
    def passed_on(self) -> str:
        """` WITH GRANT OPTION` or ` WITH ADMIN OPTION`, when the account may pass it on."""
        rest = [word.text.upper() for word in self.words[self.grantee + 3 :]]
        for option in ("GRANT", "ADMIN"):
            if any(rest[at : at + 2] == [option, "OPTION"] for at in range(len(rest))):
                return f" WITH {option} OPTION"
        return ""

    def items(self) -> set[str]:
        """Return the single rights, in words that can be compared."""
        verb, what = self.words[0].text.upper(), self.what
        if verb == "SET":
            return {f"the default role {_joined(what[2:])}"}
        on = next((at for at, word in enumerate(what) if word.means("ON")), None)
        if on is None:
            return self._with_passed_on({f"the role {_joined(part)}" for part in _parts(what)})
        target = f" ON {_joined(what[on + 1 :])}"
        lead = "" if verb == "GRANT" else f"{verb} "
        rights = {f"{lead}{right}{target}" for part in _parts(what[:on]) for right in _columns(part)}
        return self._with_passed_on(rights) - {f"USAGE{target}"}

    def _with_passed_on(self, rights: set[str]) -> set[str]:
        return rights | {f"{right}{self.passed_on}" for right in rights}

    def to(self, user: str, host: str) -> str:
        """Return the same statement for another account."""
        head = self.text[: self.words[self.grantee].start]
        return head + account(user, host) + self.passed_on


def grant(text: str) -> Grant:
    """Read a line of `SHOW GRANTS`."""
    found = words(text)
    verb = found[0].text.upper()
    before = {"SET": "FOR", "REVOKE": "FROM"}.get(verb, "TO")
    depth, grantee = 0, len(found)
    for at, word in enumerate(found):
        depth += {"(": 1, ")": -1}.get(word.text, 0)
        if depth == 0 and word.means(before):
            grantee = at + 1
            break
    return Grant(text, found, grantee)


def rights(lines: Iterable[str]) -> set[str]:
    """Return all that an account may do."""
    return {item for line in lines for item in grant(line).items()}


def has(found: set[str], *any_of: str) -> bool:
    """True when one of these rights is had, on everything."""
    return any(f"{right} ON *.*" in found for right in (*any_of, "ALL PRIVILEGES"))


def statements(lines: Sequence[str], user: str, host: str) -> list[str]:
    """Return the statements that give another account what these lines give."""
    grants = [each for each in map(grant, lines) if each.items()]
    return [each.to(user, host) for each in grants]


def lacking(one: set[str], other: set[str]) -> str:
    """Return what the second has and the first has not, in words, "" when it has all."""
    return ", ".join(sorted(other - one))


def _parts(found: Sequence[Word]) -> list[list[Word]]:
    """Split at commas that are in no parentheses."""
    parts: list[list[Word]] = [[]]
    depth = 0
    for word in found:
        depth += {"(": 1, ")": -1}.get(word.text, 0)
        if word.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _columns(part: Sequence[Word]) -> list[str]:
    """Return a right for each column that it names, or the one for all of them."""
    opening = next((at for at, word in enumerate(part) if word.text == "("), None)
    if opening is None:
        return [_joined(part)]
    return [f"{_joined(part[:opening])} ({_joined(column)})" for column in _parts(part[opening + 1 : -1])]


def _joined(found: Sequence[Word]) -> str:
    """Return words with a blank where there was one."""
    text = ""
    for at, word in enumerate(found):
        text += (" " if at and found[at - 1].end != word.start else "") + word.text
    return text

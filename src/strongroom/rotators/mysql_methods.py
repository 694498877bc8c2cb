"""By which ways an account of MariaDB or MySQL logs in, and how these stay when its password changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from strongroom.crypto.verifiers import mysql_caching_sha2, mysql_ed25519, mysql_native
from strongroom.errors import MissingExtraError, SourceRefusedError
from strongroom.generate.generate import generate_value
from strongroom.rotators.mysql_text import Word, words

NATIVE, ED25519, SHA2 = "mysql_native_password", "ed25519", "caching_sha2_password"
MARIADB, MYSQL = (NATIVE, ED25519), (NATIVE, SHA2)
"""Ways with a password whose hash can be made here."""
_WITHOUT_PASSWORD = ("unix_socket", "gssapi", "pam", "named_pipe")
"""Ways of MariaDB that hold no password of their own, so that they stay as they are."""
_LIMIT = re.compile(r"(MAX_\w+) (\S+)")


class Way(NamedTuple):
    """A way to log in: its plugin, and what the server keeps for it."""

    plugin: str
    kept: str | None

    def accepts(self, password: str) -> bool:
        """True when this is the hash of a password, as far as it can be computed here."""
        if self.kept is None:
            return False
        if self.plugin == SHA2:
            salt = self.kept[7:27]
            fits = len(salt) == 20 and salt.isascii() and "$" not in salt
            return fits and self.kept == mysql_caching_sha2(password, salt)
        return self.plugin in (NATIVE, ED25519) and self.kept == hashed(self.plugin, password)


class Definition(NamedTuple):
    """An account, as `SHOW CREATE USER` says."""

    ways: list[Way]
    factors: int
    options: str
    """What follows the ways: requirements, limits, expiry, lock."""

    @property
    def locked(self) -> bool:
        """True for an account that lets nobody in."""
        return "ACCOUNT LOCK" in self.options

    def limits(self) -> set[str]:
        """Return what it requires and allows, for the comparison with another account's."""
        required = re.search(r"REQUIRE (.*?)(?= WITH | PASSWORD | ACCOUNT | DEFAULT |$)", self.options)
        found = {f"{key} {value}" for key, value in _LIMIT.findall(self.options) if value != "0"}
        found |= {f"REQUIRE {required[1]}"} if required and required[1] != "NONE" else set()
        return found | {f"DEFAULT ROLE {roles}" for roles in self.default_roles()}

    def default_roles(self) -> list[str]:
        """Return MySQL's clause of the default roles, none or one (MariaDB has them in `SHOW GRANTS`)."""
        return re.findall(r"DEFAULT ROLE (.*?)(?= REQUIRE | WITH | PASSWORD | ACCOUNT |$)", self.options)

    def requirements(self) -> str:
        """Return the options that another account is to have too: neither roles, nor a lock, nor an expiry by hand."""
        text = re.sub(r"DEFAULT ROLE .*?(?= REQUIRE | WITH | PASSWORD | ACCOUNT |$)", "", self.options)
        text = re.sub(r"ACCOUNT (UN)?LOCK|PASSWORD EXPIRE(?! DEFAULT| NEVER| INTERVAL)", "", text)
        return " ".join(text.split())


def definition(said: str) -> Definition:
    """Read `CREATE USER name@host IDENTIFIED … options`."""
    found = words(said)
    at, ways, factors = 5, [], 1
    if found[at:] and found[at].means("IDENTIFIED"):
        if found[at + 1].means("BY"):
            ways, at = [Way(NATIVE, found[at + 3].value)], at + 4
        else:
            while True:
                way, at = _way(found, at + (2 if found[at].means("IDENTIFIED") else 1))
                ways.append(way)
                if found[at:] and found[at].means("AND"):
                    factors, at = factors + 1, at + 1
                elif not (found[at:] and found[at].means("OR")):
                    break
    return Definition(ways or [Way(NATIVE, "")], factors, said[found[at].start :] if found[at:] else "")


def _way(found: Sequence[Word], at: int) -> tuple[Way, int]:
    plugin = found[at].value
    if found[at + 1 :] and found[at + 1].text.upper() in ("USING", "AS"):
        kept = found[at + 2]
        text = bytes.fromhex(kept.text[2:]).decode("latin-1") if kept.text.startswith("0x") else kept.value
        return Way(plugin, text), at + 3
    return Way(plugin, None), at + 1


def changed(before: Definition, whose: str, plugin: str | None, mariadb: bool, passwords: Sequence[str],
            only: bool = False) -> list[Way]:  # fmt: skip
    """Return the ways of an account that accept these passwords; those without a password stay (not with `only`).

    `plugin` takes the place of all ways. Raises `SourceRefusedError` when an account would log in by another way
    than it does, and `plugin` does not ask for it.
    """
    known = MARIADB if mariadb else MYSQL
    if before.factors > 1:
        raise SourceRefusedError(f"{whose} logs in by several factors, of which a password is one: this rotator cannot")
    if plugin is not None:
        if plugin not in known:
            raise SourceRefusedError(f"{whose}: this server does not log in by {plugin}; plugin= names another, or "
                                     "leave plugin= out")  # fmt: skip
        return [Way(plugin, hashed(plugin, password)) for password in passwords]
    odd = [way.plugin for way in before.ways if way.plugin not in known and not (mariadb and _stays(way))]
    with_password = list(dict.fromkeys(way.plugin for way in before.ways if way.plugin in known))
    if odd or not with_password:
        listed = ", ".join(way.plugin for way in before.ways)
        default = known[0] if mariadb else SHA2
        raise SourceRefusedError(
            f"{whose} logs in by {listed}, and would by {default} alone afterwards; plugin={default} allows that"
        )
    new = [Way(each, hashed(each, password)) for each in with_password for password in passwords]
    if mariadb and not reachable(new, passwords):
        raise SourceRefusedError(
            f"{whose} logs in by {with_password[0]}, and with two passwords MariaDB would ask for it twice, which many "
            f"clients cannot answer (PyMySQL, Go's driver): let two accounts take turns (other=), or say plugin="
            f"{with_password[0]} when yours can"
        )
    # Those without a password come last, since many clients let themselves be asked one time only.
    return new if only else [*new, *(way for way in before.ways if _stays(way))]


def reachable(ways: Sequence[Way], passwords: Sequence[str]) -> bool:
    """True when a client that can be asked once more, after its first answer by `mysql_native_password`, gets in."""
    asked = 0 if ways[0].plugin == NATIVE else 1
    return all(any(way.accepts(password) for way in ways[: 2 - asked]) for password in passwords)


def _stays(way: Way) -> bool:
    return way.plugin in _WITHOUT_PASSWORD


def hashed(plugin: str, password: str) -> str:
    """Return what a server keeps of a password."""
    if plugin == SHA2:
        return mysql_caching_sha2(password, generate_value(20))
    if plugin == NATIVE:
        return mysql_native(password)
    try:
        return mysql_ed25519(password)
    except ImportError:
        raise MissingExtraError(
            "an account that logs in by ed25519 needs PyNaCl: pip install 'strongroom[mysql]'"
        ) from None

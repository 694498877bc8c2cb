"""How the URL of a driver is shown: without what could be a password.

A driver that is open says itself what its `url` is. Before there is a driver, because its scheme is unknown or it
cannot be reached, nobody knows what its parts mean; so of a URL that somebody has typed only those are shown that hold
no secret.
"""

from __future__ import annotations

HIDDEN = "…"
PATHS = frozenset(("sqlite", "file", "env", "passphrase", "memory"))
"""Schemes of ours whose rest is a path, the name of a variable, or nothing."""
ROTATORS = frozenset(("generate", "command", "postgresql", "mysql", "redis"))
"""Rotators of ours that refuse a URL with a password."""
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-_")


class Url(str):
    """A URL as somebody has typed it. As text, in a message, a log or a repr, it is `shown`; drivers get the whole."""

    __slots__ = ()

    def __new__(cls, url: str) -> Url:
        """Take text, or a `Url` as it is."""
        # `str` of one that is a Url already would be what is shown.
        return url if isinstance(url, Url) else super().__new__(cls, url)

    def __str__(self) -> str:
        return shown(self)

    def __repr__(self) -> str:
        return repr(shown(self))

    def __format__(self, spec: str) -> str:
        return format(shown(self), spec)


def shown(url: str) -> str:
    """Return a URL without user, password, query values and fragment, and without what cannot be told from these."""
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        return url[:]  # a path
    if scheme in PATHS and not names_a_user(rest):
        return f"{scheme}:{rest}"
    if not is_word(scheme):
        return HIDDEN
    if rest.startswith("//"):
        return f"{scheme}://{_server(rest[2:])}"
    name, more, address = rest.partition(":")
    if is_name(name) and is_name(scheme) and ("." in scheme or more):
        # A driver of somebody's own, module:callable:address, where the address may be a URL by itself. What follows
        # one word may be a password that was typed in a wrong place.
        return f"{scheme}:{name}" + (f":{shown(address) if '://' in address else HIDDEN}" if more else "")
    return f"{scheme}:{HIDDEN if rest else ''}"


def shown_rotator(url: str) -> str:
    """Return the URL of a rotator as it is shown. Those of ours take no password, and name secrets in their options."""
    scheme, _, rest = url.partition(":")
    if scheme == "webhook":
        address, mark, options = rest.partition("#")
        return f"webhook:{shown(address)}{mark}{options}"
    return url[:] if scheme in ROTATORS else shown(url)


def names_a_user(rest: str) -> bool:
    """True for what follows the scheme of a URL such as `//user:password@host/path`."""
    return rest.startswith("//") and "@" in rest[2:].partition("/")[0]


def is_word(text: str) -> bool:
    """True for what can be a scheme, or the name of a module."""
    return text[:1].isalpha() and _LETTERS.issuperset(text)


def is_name(text: str) -> bool:
    """True for what can be a module or a callable in it: names with dots between them."""
    return all(part.isidentifier() for part in text.split("."))


def shows_credentials(url: str) -> bool:
    """True for a URL of a server that has a user, a password or a query, which a driver's `url` must not have."""
    return "://" in url and shown(url) != url


def _server(rest: str) -> str:
    # A password may hold any character that should have been escaped, so all before the last @ may be part of one.
    rest = rest.rpartition("@")[2]
    end = min(at for at in (rest.find("?"), rest.find("#"), len(rest)) if at >= 0)
    host, slash, path = rest[:end].partition("/")
    name, colon, port = host.rpartition(":")
    if colon and not (port.isdigit() or host.endswith("]")):
        host = f"{name}:{HIDDEN}"  # a user and a password whose @ was forgotten
    return host + slash + path + _query(rest[end:])


def _query(text: str) -> str:
    if not text:
        return ""
    query, fragment, _ = text.partition("#")
    names = [pair.partition("=") for pair in query[1:].split("&")] if query else []
    values = "&".join(name + equals + HIDDEN if equals and is_word(name) else HIDDEN for name, equals, _ in names)
    return (f"?{values}" if query else "") + (f"#{HIDDEN}" if fragment else "")

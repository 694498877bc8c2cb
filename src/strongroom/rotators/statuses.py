"""What an HTTP answer to a step means: yes, no with nothing changed, or that nobody knows."""

from __future__ import annotations

import zlib
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 7 * 86400.0
"""Seconds; whoever asks for more than a week means something else."""
_MEANINGS = {
    301: "it has moved, and redirects are not followed: give the address that it has now",
    400: "it does not understand the request",
    401: "it does not accept the signature: is #key= its secret, and is its clock right?",
    403: "it does not let us do this",
    404: "there is no such address, or it does not know the secret",
    405: "it takes no POST there",
    407: "the proxy asks for a password",
    408: "the request did not reach it in time",
    409: "it says that its state is another one, or that this request is still under way: `strongroom rotate check` "
    "asks whether the current value is accepted",
    410: "what it rotated is gone",
    413: "the request is too large for it",
    422: "it refuses the value",
    429: "it asks to be left alone for a while",
    501: "it does not know this step",
    502: "a server before it got no answer from it",
    503: "it cannot answer now",
    504: "a server before it waited for it in vain",
}
_REDIRECTS = {300, 302, 303, 305, 307, 308}
_WAITS = {409, 425, 429, 503}
"""With Retry-After these ask for the same request, later."""
REFUSALS = frozenset({*range(400, 500), 307, 308, 501})
"""With these nothing was changed. A redirect that may become a GET is none: what was asked may have been done."""


def meaning(status: int) -> str:
    """Return what a status says, and what to do."""
    return _MEANINGS.get(301 if status in _REDIRECTS else status, "its log says why")


def wait_for(status: int, retry_after: str | None, now: float) -> float | None:
    """Return for how many seconds an answer asks to be left alone, None when it does not say.

    `Retry-After` (RFC 9110) is a number of seconds, or a date. `now` is the time of day.
    """
    text = (retry_after or "").strip()
    if status not in _WAITS or not text or len(text) > 64:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            seconds = max(parsedate_to_datetime(text).timestamp() - now, 0.0)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return seconds if seconds <= LONGEST_WAIT else None


def unpacked(content: bytes, encoding: str, most: int) -> bytes | None:
    """Return what an answer holds, None when it is longer than `most` bytes or packed in a way that was not asked for.

    Nothing but `identity` is asked for; what packs all the same mostly does it by gzip.
    """
    if encoding in ("gzip", "x-gzip", "deflate"):
        try:
            content = zlib.decompressobj(wbits=47).decompress(content, most + 1)
        except zlib.error:
            return None
    elif encoding != "identity":
        return None
    return content if len(content) <= most else None


def is_page(content: bytes) -> bool:
    """True for a page for people: a log-in or a proxy answered, and not the receiver."""
    return content.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))

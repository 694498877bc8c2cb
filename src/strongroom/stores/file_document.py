"""The document of a file store: JSON with one entry per line, sorted, so that diffs and merges are small.

    {
    "format": "strongroom-file/1",
    "revision": 17,
    "entries": {
    "secret/A": "<standard base64>",
    "secret/B": "<standard base64>"
    }
    }

UTF-8, ends in a line feed. A reader takes any JSON of this shape, whatever its white space and order, because people
merge such files by hand; it takes nothing else.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from json.encoder import encode_basestring as _quote

from strongroom.errors import NewerFormatError, StoreError, TamperedError
from strongroom.stores.snapshot import Snapshot, in_order

FORMAT = "strongroom-file/1"

_CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7}|\|{7})(?:[ \r\n]|$)", re.MULTILINE)


class Document(Snapshot):
    """A snapshot that keeps each entry as the base64 text of its line, and decodes it when it is first read."""

    __slots__ = ("_texts", "_url")

    def __init__(self, url: str, revision: int, texts: dict[str, str]) -> None:
        super().__init__(revision, {})
        self._texts = texts
        self._url = url

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None. Raises `TamperedError` when its text is not base64 as written."""
        value = self._values.get(path)
        if value is None:
            text = self._texts.get(path)
            if text is None:
                return None
            value = self._values[path] = _decode(text, path, self._url)
        return value

    def paths(self) -> list[str]:
        """Return all paths, sorted."""
        if self._paths is None:
            self._paths = in_order(self._texts)
        return self._paths

    def take_over(self, before: Document) -> None:
        """Keep what was decoded of an earlier document for each line that is the same in this one."""
        texts, earlier = self._texts, before._texts
        decoded = before._values.copy()  # at once: another thread may be reading from it
        self._values = {path: value for path, value in decoded.items() if texts.get(path) == earlier[path]}

    def succeeded_by(self, changes: Mapping[str, bytes | None]) -> Document:
        """Return the document that follows once `changes` (None removes) are committed; other lines stay."""
        texts = dict(self._texts)
        for path, value in changes.items():
            if value is None:
                texts.pop(path, None)
            else:
                texts[path] = b64encode(value).decode()
        return Document(self._url, self.revision + 1, texts)

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        lines = [f"{_quote(path)}: {_quote(self._texts[path])}" for path in self.paths()]
        entries = "{\n" + ",\n".join(lines) + "\n}" if lines else "{}"
        return f'{{\n"format": "{FORMAT}",\n"revision": {self.revision},\n"entries": {entries}\n}}\n'.encode()


def parse(content: bytes, url: str) -> Document:
    """Return the document in `content`.

    Raises `StoreError` when it is not a file store's document (with the line of broken JSON or of a conflict marker),
    `NewerFormatError`, and `TamperedError` for a document that strongroom would not have written.
    """
    document = _load(content, url)
    if not isinstance(document, dict):
        raise StoreError(f"{url} is not a strongroom store; check the path")
    _check_format(document.get("format"), url)
    if set(document) != {"format", "revision", "entries"}:
        raise TamperedError(f"{url} must hold exactly format, revision and entries; restore it from git or a backup")
    return Document(url, _revision(document["revision"], url), _entries(document["entries"], url))


def _load(content: bytes, url: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise TamperedError(f"{url} holds {twice!a} twice; remove one of them, or restore the file")
        return members

    try:
        return json.loads(content.decode(), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        what = f"is broken JSON at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text at line {content.count(10, 0, error.start) + 1}"
    except (ValueError, RecursionError):
        what = "holds a number or a nesting that no store has"
    # Outside of the handlers: a JSON error carries the whole document with it.
    conflict = _CONFLICT.search(content)
    if conflict:
        line = content.count(b"\n", 0, conflict.start()) + 1
        raise StoreError(f"{url} has a conflict marker of a merge in line {line}; resolve the conflict, then try again")
    raise StoreError(f"{url} {what}; restore it from git or a backup")


def _check_format(found: object, url: str) -> None:
    if found == FORMAT:
        return
    if isinstance(found, str) and re.fullmatch(r"strongroom-file/[1-9][0-9]{0,8}", found):
        raise NewerFormatError(f"{url} has the format {found}, this release knows {FORMAT}; upgrade strongroom")
    raise StoreError(f"{url} is not a strongroom store; check the path")


def _revision(found: object, url: str) -> int:
    if type(found) is int and 0 <= found < 2**63:
        return found
    raise TamperedError(f"{url}: the revision must be a whole number; restore the file from git or a backup")


def _entries(found: object, url: str) -> dict[str, str]:
    if not isinstance(found, dict):
        raise TamperedError(f"{url}: entries must be an object; restore the file from git or a backup")
    for path, text in found.items():
        if type(text) is not str:
            raise TamperedError(f"{url}: the entry {path!a} must be text; restore the file from git or a backup")
        if not _is_unicode(path):
            raise TamperedError(f"{url}: {path!a} is not a path; restore the file from git or a backup")
    return found


def _is_unicode(path: str) -> bool:
    # JSON can spell half of a surrogate pair, which UTF-8 cannot.
    return path.isascii() or path == path.encode(errors="ignore").decode()


def _decode(text: str, path: str, url: str) -> bytes:
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        value = b""
    # Only one text stands for each value, else a line could change without its value changing.
    if b64encode(value).decode() != text:
        raise TamperedError(f"{url}: the entry {path!a} is not base64 as written; restore the file")
    return value

"""Keeps the values of live secrets out of logs.

from strongroom.integrations.logging import install

install(secrets.secret("POSTGRES_PASSWORD"))
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strongroom.integrations._redaction import Redactor, every

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

__all__ = ["RedactingFilter", "RedactingFormatter", "Redactor", "every", "install"]

_PLAIN = (int, float, complex, bool, type(None))
_DEEPEST = 20
_BY_LOGGING = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"} - {"stack_info"}
_to_text = logging.Formatter()


def install(*handles: LiveSecret, logger: logging.Logger | None = None) -> Redactor:
    """Filter what the handlers of `logger`, by default the root logger, emit; returns the redactor.

    A handler that is added later, or that belongs to another logger, needs a `RedactingFilter` of its own.
    """
    redactor = Redactor(*handles)
    for handler in (logger or logging.getLogger()).handlers:
        handler.addFilter(RedactingFilter(redactor))
    return redactor


class RedactingFilter(logging.Filter):
    """Belongs on a handler: there it sees the records of all loggers.

    Covers the message, its arguments, exceptions, stacks and extra attributes, however nested. A record without a
    value in it stays as it is; one with a value is changed in place, so later handlers see it redacted too.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record; it is never dropped."""
        record.__dict__.update(self._changed(record))
        return True

    def _changed(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the attributes of a record that have to be others."""
        changed = {}
        for name, value in record.__dict__.items():
            if name not in _BY_LOGGING and not isinstance(value, _PLAIN):
                clean = self._clean(value)
                if clean is not value:
                    changed[name] = clean
        return changed | self._message(record) | self._exception(record)

    def _message(self, record: logging.LogRecord) -> dict[str, Any]:
        try:
            message = record.getMessage()
        except Exception:
            # Arguments that do not fit the message: logging prints both, with the reason.
            return {"msg": self._clean(record.msg), "args": self._clean(record.args)}
        clean = self._redactor.redact(message)
        if clean != message:
            return {"msg": clean, "args": ()}
        # An argument that the message does not show may still be stored with it.
        return {} if self._clean(record.args) is record.args else {"msg": message, "args": ()}

    def _exception(self, record: logging.LogRecord) -> dict[str, Any]:
        text = record.exc_text
        if not text and record.exc_info:
            text = _to_text.formatException(record.exc_info)
        clean = self._redactor.redact(text) if text else text
        # The exception itself would show the value to whoever formats it anew.
        return {} if clean == text else {"exc_info": None, "exc_text": clean}

    def _clean(self, value: Any, depth: int = 0) -> Any:
        """Return `value` itself when nothing is in it, else a copy of plain containers and text."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, str):
            clean = self._redactor.redact(value)
            return value if clean == value else clean
        if depth < _DEEPEST and isinstance(value, Mapping):
            pairs = {self._clean(key, depth + 1): self._clean(one, depth + 1) for key, one in value.items()}
            same = all(pairs.get(key) is one for key, one in value.items())
            return value if same else pairs
        if depth < _DEEPEST and type(value) in (list, tuple, set, frozenset):
            items = [self._clean(one, depth + 1) for one in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else type(value)(items)
        return self._clean_object(value)

    def _clean_object(self, value: Any) -> Any:
        try:
            shown = (str(value), repr(value))
        except Exception:
            return value
        clean = self._redactor.redact(shown[0])
        return value if (clean, self._redactor.redact(shown[1])) == shown else clean


class RedactingFormatter(logging.Formatter):
    """Redacts the text that another formatter makes, whatever that takes it from."""

    def __init__(self, redactor: Redactor, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._redactor = redactor
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the inner formatter's text with stars for each value."""
        return self._redactor.redact(self._inner.format(record))

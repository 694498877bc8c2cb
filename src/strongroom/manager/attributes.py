"""What a writer says of a version besides its value: when it expires, custom metadata, how many versions stay."""

from __future__ import annotations

from collections.abc import Mapping

from strongroom.engine.versions import Attributes
from strongroom.errors import InvalidValueError
from strongroom.system.moment import now

MAX_VERSIONS = 10_000
MAX_CUSTOM = 64
MAX_CUSTOM_KEY, MAX_CUSTOM_TEXT = 128, 512
"""Characters of a key and a text of the custom metadata."""
_LONGEST = 1e10


def check_attributes(
    expires_in: float | None, custom: Mapping[str, str] | None, max_versions: int | None
) -> Attributes:
    """Return what a writer says of a version; `expires_in` is in seconds. Raises `InvalidValueError`."""
    if expires_in is not None and (type(expires_in) not in (int, float) or not 0 < expires_in < _LONGEST):
        raise InvalidValueError("expires_in is a number of seconds, more than 0 (and less than 300 years)")
    if max_versions is not None and (type(max_versions) is not int or not 1 <= max_versions <= MAX_VERSIONS):
        raise InvalidValueError(f"max_versions is a whole number from 1 to {MAX_VERSIONS:,}")
    if custom is not None:
        _check_custom(custom)
    expires = None if expires_in is None else round(now() + expires_in, 3)
    return Attributes(expires, custom, max_versions)


def _check_custom(custom: Mapping[str, str]) -> None:
    if not isinstance(custom, Mapping):
        raise InvalidValueError("custom metadata is a mapping of text to text")
    for key, text in custom.items():
        if not (_is_text(key, MAX_CUSTOM_KEY) and _is_text(text, MAX_CUSTOM_TEXT)):
            raise InvalidValueError(
                f"custom metadata maps text (at most {MAX_CUSTOM_KEY} characters) to text (at most {MAX_CUSTOM_TEXT}), "
                "without unpaired surrogates"
            )
    if len(custom) > MAX_CUSTOM:
        raise InvalidValueError(f"custom metadata has {len(custom)} keys; at most {MAX_CUSTOM} are kept")


def _is_text(given: object, longest: int) -> bool:
    if not isinstance(given, str) or len(given) > longest:
        return False
    return given.isascii() or not any("\ud800" <= character <= "\udfff" for character in given)

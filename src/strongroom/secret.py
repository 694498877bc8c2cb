"""A value that prints as stars wherever it goes by accident, and is read only on purpose."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar, final, get_args

STARS = "**********"
"""What stands for any value, whatever its length."""

Text = TypeVar("Text", str, bytes)

_hash_key = os.urandom(16)


@final
class Secret(Generic[Text]):
    """Holds one value, a `str` or `bytes`, that is read only through `.value`.

    Printing, formatting, logging, dumping, pickling, copying or comparing it never shows the value, and neither does
    a traceback with local variables. It cannot be changed, has no length and is always true. Two secrets are equal
    when their values are; the comparison takes the same time wherever they differ. The hash is keyed anew in each
    process, so it says nothing about the value.

    `.value` is left out of `dir()`, because tools that dump an object read every attribute that they find there.

    This guards against accidents, not against code that wants the value: Python cannot hide memory from a debugger,
    from `gc`, or from whoever calls `.value`.

    It can be the type of a field of a pydantic v2 model: `Secret`, `Secret[str]` or `Secret[bytes]`. The field takes
    text, bytes or a `Secret` and is dumped to JSON as stars. pydantic's errors about *other* fields of the model may
    quote the whole input, this value included: set `hide_input_in_errors=True` in the model's config, and call
    `errors(include_input=False)`.

    Raises `TypeError` when the value is neither `str` nor `bytes`.
    """

    __slots__ = ("__read",)

    # The value lies in a closure, so that tools that walk `__slots__` find a function there.
    __read: Callable[[], Text]

    def __new__(cls, value: Text) -> Secret[Text]:
        """`__new__` and not `__init__`, which could be called again and change the value."""
        if not isinstance(value, (str, bytes)):
            kind = type(value).__name__
            del value  # a traceback that captures local variables would show it
            raise TypeError(f"a Secret holds str or bytes, not {kind}")
        self = super().__new__(cls)
        object.__setattr__(self, "_Secret__read", lambda: value)
        return self

    @property
    def value(self) -> Text:
        """The value itself."""
        return self.__read()

    def __repr__(self) -> str:
        return f"Secret('{STARS}')"

    def __str__(self) -> str:
        return STARS

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name != "value"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_tagged(self.value), _tagged(other.value))

    def __hash__(self) -> int:
        digest = hashlib.blake2b(_tagged(self.value), key=_hash_key, digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed; make a new one")

    def __copy__(self) -> Secret[Text]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[Text]:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled, because that would write its value in the clear; pass its name")

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(2)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: object) -> Any:
        from pydantic_core import core_schema

        kinds = tuple(kind for kind in get_args(source) if kind in (str, bytes)) or (str, bytes)
        names = " or ".join(kind.__name__ for kind in kinds)
        # The input is covered before anything can fail, because an error shows the input of the step that failed.
        return core_schema.no_info_before_validator_function(
            lambda given: _cover(given, kinds),
            core_schema.custom_error_schema(
                core_schema.is_instance_schema(cls),
                custom_error_type="secret_type",
                custom_error_message=f"Input should be {names}, or a Secret of it",
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True}


class _Covered:
    """Stands in pydantic's errors for an input of the wrong type."""

    def __repr__(self) -> str:
        return f"'{STARS}'"


def _cover(given: Any, kinds: tuple[type, ...]) -> Secret[Any] | _Covered:
    held = given.value if isinstance(given, Secret) else given
    if not isinstance(held, kinds):
        return _Covered()
    return given if isinstance(given, Secret) else Secret(given)


def _tagged(value: str | bytes) -> bytes:
    """Return bytes that differ for `"x"` and `b"x"`; unpaired surrogates are welcome."""
    return b"s" + value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b"b" + value

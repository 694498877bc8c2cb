"""The source of a secret: its rotator as a rotation asks it, with what a rotator need not have filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError, StrongroomError
from strongroom.protocols import Rotator
from strongroom.records.data import Data, Value, decode_data, encode
from strongroom.rotation.calls import Calls

Fields = Mapping[str, Any]


class Source:
    """The rotator of one secret; see `strongroom.protocols.Rotator`. Methods raise `RotationError`."""

    def __init__(self, calls: Calls, name: str, rotator: Rotator) -> None:
        self._calls = calls
        self._name = name
        self._rotator = rotator
        wanted = getattr(rotator, "timeout", None)
        self.timeout: float = calls.timeout if wanted is None else float(wanted)
        """Seconds that a step may take."""

    @property
    def keeps_previous(self) -> bool:
        """False when the source refuses the previous value as soon as a new one is set."""
        return bool(getattr(self._rotator, "keeps_previous", True))

    @property
    def accounts(self) -> frozenset[str]:
        """What is rotated there, empty when the rotator does not say."""
        return frozenset(getattr(self._rotator, "accounts", ()))

    @property
    def kind(self) -> type:
        """What kind of rotator it is."""
        return type(self._rotator)

    @property
    def users(self) -> object:
        """Whose passwords are rotated, wherever the source is; None when the rotator does not say."""
        return getattr(self._rotator, "users", None)

    def grace(self, usual: float) -> float:
        """Return the rotator's own grace time, or `usual`."""
        return float(getattr(self._rotator, "grace", usual))

    @property
    def hangs(self) -> bool:
        """True while an earlier call has not come back, and so may still change the source."""
        return self._calls.hangs(self._name)

    def check(self, current: Fields) -> list[str]:
        """Raise unless a rotation would begin well; return what there is to say."""
        found = self._ask("check", getattr(self._rotator, "check", None) or self._rotator.test, current)
        return [str(text) for text in found] if isinstance(found, list | tuple) else []

    def create(self, current: bytes) -> bytes:
        """Return encoded pending data that can replace `current`."""
        return self._shaped(self._ask("create", self._rotator.create, decode_data(current)), current, "create()")

    def adopt(self, value: Value | Data, current: bytes) -> bytes:
        """Return encoded pending data with an operator's own value."""
        before = decode_data(current)
        adopt = getattr(self._rotator, "adopt", None)
        if adopt is not None:
            pending = self._ask("adopt", adopt, value, before)
        elif isinstance(value, Mapping) or set(before) == {"value"}:
            pending = value
        elif "password" in before and isinstance(value, str):
            pending = {**before, "password": value}
        else:
            raise RotationError("the secret has several fields, and none called password: give all of them (--json-data"
                                " of `strongroom set`, a mapping)", name=self._name)  # fmt: skip
        return self._shaped(decode_data(encode(pending)), current, "the new value")

    def set(self, pending: Fields, current: Fields) -> None:
        """Let the source accept `pending`."""
        self._ask("set", self._rotator.set, pending, current)

    def test(self, pending: Fields) -> None:
        """Raise unless the source accepts `pending`."""
        self._ask("test", self._rotator.test, pending)

    def accepts(self, data: Fields) -> bool:
        """True when the source accepts these fields; False too when it does not answer."""
        try:
            self.test(data)
        except RotationError:
            return False
        return True

    def retire(self, previous: Fields, current: Fields) -> None:
        """Let the source refuse `previous`."""
        self._ask("retire", self._rotator.retire, previous, current)

    def _ask(self, step: str, call: Any, *arguments: Any) -> Any:
        stop = getattr(self._rotator, "stop", None)
        return self._calls.ask(self._name, step, call, *arguments, timeout=self.timeout, stop=stop)

    def _shaped(self, pending: object, current: bytes, what: str) -> bytes:
        """Return the encoded data; raises `RotationError` for what cannot replace `current`."""
        if not isinstance(pending, Mapping):
            raise RotationError(f"{what} returned {type(pending).__name__} and not a mapping of fields")
        before = decode_data(current)
        if not pending or any(pending[field] in ("", b"", None) and before.get(field) for field in pending):
            raise RotationError(f"{what} returned an empty value", name=self._name)
        # A program may return what it changes: the user, the host and the port stay.
        merged = {**before, **pending} if set(before) != {"value"} else dict(pending)
        strange = sorted(set(merged) - set(before)) if set(before) == {"value"} or "value" in pending else []
        if strange or any(type(merged[field]) is not type(before[field]) for field in before if field in merged):
            raise RotationError(
                f"{what} is of another shape than the secret, whose fields are {', '.join(sorted(before))}: programs "
                "that read it would not find what they know",
                name=self._name,
            )
        try:
            encoded = encode(merged if set(merged) != {"value"} else merged["value"])
        except StrongroomError as error:
            raise RotationError(f"{what} returned what cannot be a secret: {error}", name=self._name) from None
        if encoded == current:
            # Retiring the previous value would then shut everybody out.
            raise RotationError(f"{what} returned the value that is current already", name=self._name)
        return encoded


def is_refusal(error: Exception) -> bool:
    """True when the source said no and changed nothing."""
    return isinstance(error, SourceRefusedError)

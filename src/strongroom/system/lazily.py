"""Imports at the moment of use: they read files, which a process without a free descriptor cannot."""

from __future__ import annotations

from types import TracebackType

from strongroom.errors import StrongroomError


class _Importing:
    """`with importing:` around an import in a function raises `StrongroomError` where its file cannot be read."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise StrongroomError(f"a part of strongroom cannot be loaded: {error.strerror}; try again later") from None


importing = _Importing()

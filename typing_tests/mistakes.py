"""Mistakes that a type checker must find: each line ends with the comment that would hide it, or the check fails."""

import strongroom

store = strongroom.open()


def connect(password: str) -> None:
    """Take a password."""


connect(store.get_secret("A"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(store.get_bytes("A", b""))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(store.secret("A").data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(strongroom.get_secret_or_env("A", "A"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
store.get_secret("A", field="user")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
assert store.metadata("A").current  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
store.set_secret("A", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
strongroom.open(stroe="x", store=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

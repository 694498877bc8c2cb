"""What a key provider must do."""

from typing import Protocol


class KeyProvider(Protocol):
    """Guards keys with a master key. It sees keys only, never secrets.

    Usable from many threads, and in the child after `fork`. Raises (both methods), without a word of a key:

    - `NoKeyError`: nobody has given a key. `get_secret_or_env` may answer from the environment then.
    - `KeyProviderError`: there is a key, and whoever guards it does not answer now: unreachable, throttled, refused.
      Never `NoKeyError` for that, or an outage would let a service go on with a default.
    - `InvalidKeyError`: what was given is no key.
    """

    @property
    def url(self) -> str:
        """`scheme:rest` as messages show it, and as the store's header keeps it in clear: a label without credentials.

        Never key material.
        """
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt `key` (32 bytes) so that only this master key and the same `context` bring it back."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key that `wrap` was given.

        Raises `WrongKeyError` when `wrapped` was made by another master key or another provider ("not mine": each
        recipient's wrap is tried in turn), `TamperedError` when it was made by this one and is damaged or of another
        context, `NewerFormatError`.
        """
        ...

"""What is known of a secret without its value."""

from collections.abc import Mapping
from typing import NamedTuple


class VersionInfo(NamedTuple):
    """What is known of one version of a secret, never its value. Times are seconds since 1970, UTC."""

    version: int
    created: float
    deleted: float | None = None
    """When it was deleted (hidden); None when it is not."""
    destroyed: bool = False
    """True when its ciphertext was removed for good."""
    expires: float | None = None
    """When it stops being returned; None for never."""

    @property
    def state(self) -> str:
        """`destroyed`, `deleted` or `live`, whatever the clock says."""
        return "destroyed" if self.destroyed else "deleted" if self.deleted is not None else "live"

    def readable_at(self, now: float) -> bool:
        """True when the version is neither deleted nor destroyed nor expired at `now`, seconds since 1970."""
        return self.state == "live" and (self.expires is None or now < self.expires)


class SecretInfo(NamedTuple):
    """What is known of a secret, never its value."""

    name: str
    current: int
    versions: tuple[VersionInfo, ...]
    """Oldest first; those beyond `max_versions` are gone."""
    custom: Mapping[str, str]
    """The custom metadata."""
    max_versions: int

    def version(self, number: int) -> VersionInfo | None:
        """Return the version with this number, or None when it never was or has been retired."""
        return next((info for info in self.versions if info.version == number), None)

"""How the lines of a stream are chained.

Each writer has its own *stream*: 8 random bytes, written as 16 hex digits. The MAC of its line n is

    mac_0      = 16 zero bytes
    mac_n      = BLAKE2b-128(stream key, "audit line", mac_(n-1) ‖ the line up to `,"mac"`)
    stream key = BLAKE2b-256(audit key, "strongroom audit", stream)

so that a line can be neither changed, dropped, moved nor repeated unseen, and no two processes share a lock.
The regret: symmetric MACs mean that whoever can verify could also forge. Signatures would cost more than the write.
"""

from __future__ import annotations

from strongroom.crypto.mac import Mac

START = bytes(16)


def line_mac(audit_key: bytes, stream: str) -> Mac:
    """Return what authenticates the lines of `stream`."""
    return Mac(Mac(audit_key, b"strongroom audit").digest(bytes.fromhex(stream)), b"audit line", 16)


def tail(mac: bytes) -> bytes:
    """Return how a line ends, after the part that is authenticated and before the line feed."""
    return b',"mac":"%b"}' % mac.hex().encode()


TAIL_SIZE = len(tail(START))
UNSEALED = b',"mac":null}'
"""How a line ends that was written without a key: the refusal of a wrong master key."""

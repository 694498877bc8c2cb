import hashlib
import json
from binascii import hexlify

from strongroom.audit.checkpoint import Checkpoint, decode_checkpoint
from strongroom.protocols import Position

KEY = bytes(range(32))
CHECKPOINT = Checkpoint(
    Position("00000000000000ff", 2, 1234), "0001020304050607", 5, "ab" * 16, 7, ("0807060504030201-9",), "web-1 file:a"
)


def test_a_checkpoint_comes_back_as_it_was():
    assert decode_checkpoint(CHECKPOINT.encode(KEY), {6: bytes(32), 7: KEY}) == CHECKPOINT


def test_a_checkpoint_is_json_that_ends_in_a_mac_of_what_precedes_it():
    """As anybody would compute it: keyed BLAKE2b, with a purpose that no other MAC under an audit key has."""
    stored = CHECKPOINT.encode(KEY)
    body, _, check = stored.partition(b',"check":')
    mac = hashlib.blake2b(body, key=KEY, person=b"audit checkpoint", digest_size=32).digest()
    assert check == b'"%b"}' % hexlify(mac)
    assert json.loads(stored) == {
        "v": 1, "log": "00000000000000ff", "segment": 2, "offset": 1234, "stream": "0001020304050607", "seq": 5,
        "mac": "ab" * 16, "key": 7, "after": ["0807060504030201-9"], "place": "web-1 file:a", "check": mac.hex(),
    }  # fmt: skip

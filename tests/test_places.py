from itertools import combinations

from strongroom.places import context

STORE, OTHER = "0123456789abcdef" * 2, "f" * 32


def test_it_is_as_the_docstring_says():
    assert context(STORE, "secret/ä", b"x") == b"strongroom/1\0" + bytes.fromhex(STORE) + b"secret/\xc3\xa4\0x"


def test_different_places_have_different_contexts():
    places = [
        (STORE, "secret/a", b""),
        (OTHER, "secret/a", b""),
        (STORE, "secret/A", b""),
        (STORE, "secret/ab", b""),
        (STORE, "secret/a", b"b"),
        (STORE, "secret/", b"a"),
        (STORE, "version/a/0000000001", b""),
    ]
    for one, other in combinations(places, 2):
        assert context(*one) != context(*other)

"""What servers keep of a password, against vectors and programs that are not ours."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from strongroom.crypto.verifiers import mysql_caching_sha2, mysql_ed25519, mysql_native, redis_sha256, sha256_crypt


def test_sha_crypt_gives_the_value_of_its_paper():
    assert sha256_crypt(b"Hello world!", b"saltstring") == "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


@pytest.mark.parametrize("password", ["a", "p" * 31, "p" * 32, "p" * 33, "p" * 64, "p" * 100, "passwörd 0"])
def test_sha_crypt_agrees_with_openssl(password):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program")
    command = ["openssl", "passwd", "-5", "-salt", "0123456789abcdef", "-stdin"]
    theirs = subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()
    assert f"$5$0123456789abcdef${sha256_crypt(password.encode(), b'0123456789abcdef')}" == theirs


def test_mysql_takes_all_twenty_bytes_of_the_salt():
    # The example of hashcat's mode 7401, which is MySQL's authentication_string in hexadecimal.
    salt = bytes.fromhex("F9CC98CE08892924F50A213B6BC571A2C11778C5")
    digest = bytes.fromhex("625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F")
    assert sha256_crypt(b"hashcat", salt) == digest.decode()


def test_the_hash_for_mysql_names_its_kind_and_holds_its_salt():
    made = mysql_caching_sha2("secret", "s" * 20)
    assert made == "$A$005$" + "s" * 20 + sha256_crypt(b"secret", b"s" * 20)
    assert len(made) == 70
    for salt in ("short", "$" * 20, "é" * 20):
        with pytest.raises(ValueError, match="20 ASCII"):
            mysql_caching_sha2("secret", salt)


def test_the_older_hash_for_mysql_is_that_of_its_manual():
    # MySQL's manual shows it for PASSWORD('mypass').
    assert mysql_native("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"


def test_redis_keeps_sha256():
    # FIPS 180-2, appendix B.1.
    assert redis_sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        # MariaDB's documentation shows it for ed25519_password('secret'); a server of 10.11 made the other.
        ("secret", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"),
        ("first", "yimNcp6dq3P0N8rm+FGHNJKGzblrmmBDojH2V8xiL7w"),
    ],
)
def test_the_ed25519_hash_for_mariadb_is_that_of_its_server(password, expected):
    pytest.importorskip("nacl")
    assert mysql_ed25519(password) == expected

"""A key may have mode 0440 when an access control list gives it to this user alone, as systemd does for credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from struct import pack
from tempfile import TemporaryDirectory

import pytest

import strongroom
from strongroom.errors import InvalidKeyError
from strongroom.key_providers import acl
from strongroom.key_providers.file import connect, create, read_private

OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF
SERVICE, ANOTHER = 4711, 4712


def entries(*more, group=0, other=0, mask=4):
    """Return an access control list as the kernel takes it, in the order that it wants."""
    listed = [
        (OWNER, 4, NOBODY), *(e for e in more if e[0] == USER), (OWNING_GROUP, group, NOBODY),
        *(e for e in more if e[0] == GROUP), (MASK, mask, NOBODY), (OTHER, other, NOBODY),
    ]  # fmt: skip
    return b"\x02\0\0\0" + b"".join(pack("<HHI", *entry) for entry in listed)


@pytest.fixture
def credential():
    """A file of mode 0400 in memory, with a list that gives it to a service."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm")
    with TemporaryDirectory(dir="/dev/shm") as directory:
        os.chmod(directory, 0o755)
        yield made(f"{directory}/master_key")


def made(path):
    create(path, strongroom.generate_master_key())
    os.chmod(path, 0o400)
    try:
        os.setxattr(path, acl.ATTRIBUTE, entries((USER, 4, SERVICE)))
    except OSError as error:
        pytest.skip(f"no access control lists here: {error.strerror}")
    return path


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: SERVICE)


@pytest.mark.usefixtures("service")
def test_a_credential_for_this_user_is_taken(credential):
    if os.getuid() == 0:
        assert read_private(credential).endswith(b"=\n")
    assert os.stat(credential).st_mode & 0o777 == 0o440
    assert acl.is_private(credential, 0o440)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "listed",
    [
        entries((USER, 4, SERVICE), (USER, 4, ANOTHER)),
        entries((USER, 4, ANOTHER)),
        entries((USER, 4, SERVICE), group=4),
        entries((USER, 4, SERVICE), (GROUP, 4, 4713)),
        entries((USER, 6, SERVICE), mask=6),
        entries((USER, 4, SERVICE), other=4),
    ],
    ids=["another too", "another", "its group", "a group", "may write", "everybody"],
)
def test_a_list_that_lets_others_read_or_this_user_write_is_refused(credential, listed):
    os.setxattr(credential, acl.ATTRIBUTE, listed)
    with pytest.raises(InvalidKeyError, match="can be read or written by others"):
        read_private(credential)


def test_group_bits_without_a_list_are_a_groups(tmp_path):
    path = str(tmp_path / "master.key")
    create(path, strongroom.generate_master_key())
    os.chmod(path, 0o440)
    with pytest.raises(InvalidKeyError, match="mode 0440"):
        read_private(path)
    assert not acl.is_private(path, 0o440)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_service_opens_its_store_with_a_credential_of_root(credential):
    """As systemd hands it over: root's file below $CREDENTIALS_DIRECTORY, read by the service's own user."""
    program = (
        "import os, sys\n"
        "import strongroom.key_providers.file as file, strongroom.key_providers.acl\n"
        "os.setgroups([]); os.setgid(4711); os.setuid(4711)\n"
        "print(os.stat(sys.argv[1]).st_uid, len(file.read_private(sys.argv[1])))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, credential], capture_output=True, text=True)
    assert done.stdout == "0 45\n", done.stderr
    assert connect(credential).url == f"file:{credential}"

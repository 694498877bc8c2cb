import os
import resource
import sys

import pytest

import strongroom
from strongroom import drivers
from strongroom.errors import ConfigError, InvalidKeyError, KeyProviderError, NoKeyError
from strongroom.key_providers.file import connect, create, read_private

ROOT = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "master.key"
    create(str(place), strongroom.generate_master_key())
    return place


def test_a_created_file_is_private_ends_in_a_line_feed_and_opens_what_it_locked(path):
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().endswith("=\n")
    provider = connect(str(path))
    assert provider.unwrap(provider.wrap(ROOT, b"c"), b"c") == ROOT
    assert repr(provider) == f"FileKeyProvider({path})"


def test_a_key_is_never_overwritten(path):
    before = path.read_text()
    with pytest.raises(InvalidKeyError, match="exists already"):
        create(str(path), "new")
    assert path.read_text() == before


def test_a_file_that_cannot_be_made_says_why(tmp_path):
    with pytest.raises(InvalidKeyError, match="cannot be written: No such file or directory"):
        create(str(tmp_path / "no" / "master.key"), "key")


def test_a_write_that_fails_leaves_no_half_key(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidKeyError, match="No space left on device"):
        create(str(tmp_path / "master.key"), "key")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o601, 0o610])
def test_a_file_that_is_open_to_others_is_refused(path, mode):
    path.chmod(mode)
    with pytest.raises(InvalidKeyError, match=rf"mode 0{mode:o}\); run `chmod 600"):
        read_private(str(path))


def test_a_file_of_another_user_is_refused(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    os.chown(path, 4712, -1) if os.getuid() == 0 else None
    with pytest.raises(InvalidKeyError, match="belongs to another user"):
        read_private(str(path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_root_is_taken(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert read_private(str(path)).endswith(b"=\n")


def test_a_missing_file_is_no_key(tmp_path):
    with pytest.raises(NoKeyError, match="there is no file"):
        connect(str(tmp_path / "gone.key")).wrap(ROOT, b"")


def test_a_file_that_cannot_be_read_is_no_key(path):
    with pytest.raises(NoKeyError, match="cannot be read: Not a directory"):
        read_private(f"{path}/key")


def test_a_directory_and_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidKeyError, match="not a regular file"):
            read_private(str(place))


def test_a_long_file_is_not_a_key(path):
    path.write_bytes(b"A" * 4097)
    with pytest.raises(InvalidKeyError, match="has 4097 bytes; that is not a key"):
        read_private(str(path))
    path.write_bytes(b"A" * 4096)
    assert len(read_private(str(path))) == 4096


def test_what_is_no_key_is_not_shown(path):
    path.write_text("correct horse battery")
    with pytest.raises(InvalidKeyError, match="does not hold a Fernet key") as caught:
        connect(str(path)).unwrap(b"", b"")
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize("rest", ["", "a\0b", "a\nb", "\ud800"])
def test_a_path_that_cannot_be_is_a_setting_that_cannot_be(rest):
    with pytest.raises(ConfigError, match="path of a file"):
        connect(rest)


def test_the_file_is_found_again_after_a_change_of_directory(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    provider = connect("master.key")
    wrapped = provider.wrap(ROOT, b"")
    monkeypatch.chdir("/")
    assert provider.unwrap(wrapped, b"") == ROOT
    assert provider.url == "file:master.key"


def test_a_key_file_is_made_without_hard_links_too(tmp_path, monkeypatch):
    def no_links(old, new):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = str(tmp_path / "master.key")
    create(path, "key")
    assert read_private(path) == b"key\n"
    with pytest.raises(InvalidKeyError, match="exists already"):
        create(path, "other")
    assert read_private(path) == b"key\n"
    assert os.listdir(tmp_path) == ["master.key"]


# Errors are ours, and no descriptor stays open


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("call", ["read", "fstat"])
def test_a_file_that_cannot_be_read_halfway_is_our_error_and_is_closed(path, monkeypatch, call):
    def fail(*_):
        raise OSError(5, "Input/output error")

    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(KeyProviderError, match="cannot be read now: Input/output error"):
            connect(str(path)).wrap(ROOT, b"")
    assert descriptors() == before


def test_a_list_of_readers_that_cannot_be_examined_is_our_error(path, monkeypatch):
    path.chmod(0o640)
    monkeypatch.setitem(sys.modules, "strongroom.key_providers.acl", None)
    monkeypatch.delattr("strongroom.key_providers.acl", raising=False)
    before = descriptors()
    with pytest.raises(KeyProviderError, match="cannot be read"):
        connect(str(path)).wrap(ROOT, b"")
    assert descriptors() == before


@pytest.mark.parametrize("url", ["passphrase:a\0b", "passphrase:/" + "x" * 5000, "passphrase:/proc/self/mem/x"])
def test_a_path_that_cannot_be_one_is_our_error(url):
    with pytest.raises(NoKeyError, match="cannot be read"):
        drivers.key_provider(url).wrap(ROOT, b"")


@pytest.mark.parametrize("refused", ["mode", "empty", "directory", "long", "pipe"])
def test_a_file_that_is_refused_is_closed(tmp_path, refused):
    path = tmp_path / "key"
    if refused == "directory":
        path.mkdir(0o700)
    elif refused == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.write_bytes(b"" if refused == "empty" else b"x" * (5000 if refused == "long" else 5))
        path.chmod(0o666 if refused == "mode" else 0o600)
    before = descriptors()
    with pytest.raises(InvalidKeyError):
        read_private(str(path))
    assert descriptors() == before


def test_without_a_free_descriptor_it_is_our_error(path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    provider = connect(str(path))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(KeyProviderError, match="cannot be read now: Too many open files"):
            provider.wrap(ROOT, b"")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

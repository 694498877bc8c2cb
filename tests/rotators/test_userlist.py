"""pgbouncer's list of passwords is rewritten whole, with everything else in it kept, by one process at a time."""

from __future__ import annotations

import os
import threading

import pytest

from strongroom.crypto.verifiers import scram_fits
from strongroom.errors import SourceRefusedError
from strongroom.rotators.userlist import UserList, kind

VERIFIER = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="  # noqa: E501
"""Of the password `pencil`: the salt of RFC 7677, section 3, in the form that PostgreSQL keeps."""


@pytest.mark.parametrize(
    ("password", "verifier", "fits"),
    [
        ("pencil", VERIFIER, True),
        ("Pencil", VERIFIER, False),
        ("pencil", VERIFIER.replace("4096", "4097"), False),
        ("pencil", VERIFIER.replace("4096", "9999999"), False),
        ("pencil", VERIFIER.replace("W22Z", "W22"), False),
        ("pencil", "SCRAM-SHA-256$", False),
        ("pencil", "pencil", False),
        ("päncil", VERIFIER, False),
    ],
)
def test_a_verifier_is_told_from_those_of_other_passwords(password, verifier, fits):
    assert scram_fits(verifier, password) == fits


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b'"app" "new"\n'),
        (b'"a" "b"', b'"a" "b"\n"app" "new"\n'),
        (b'; list\n"app" "old" ; mine\n"a" "b"\n', b'; list\n"app" "new" ; mine\n"a" "b"\n'),
        (b'"app" "old"\n"App" "x"\n"app2" "y"\n"app" "older"\n', b'"app" "new"\n"App" "x"\n"app2" "y"\n"app" "new"\n'),
        (b'\xff "not a line"\n"\xff" "b"\r\n"app"\t"o""ld"\r\n', b'\xff "not a line"\n"\xff" "b"\r\n"app" "new"\r\n'),
        (b'# "app" "x"\n', b'# "app" "x"\n"app" "new"\n'),
    ],
)
def test_only_the_lines_of_the_user_change(tmp_path, before, after):
    path = tmp_path / "userlist.txt"
    path.write_bytes(before)
    UserList(str(path)).put("app", "new")
    assert path.read_bytes() == after
    assert UserList(str(path)).password("app") == "new"


def test_names_and_passwords_are_quoted(tmp_path):
    path = tmp_path / "userlist.txt"
    path.write_bytes(b"")
    users = UserList(str(path))
    users.put('o"dd', 'p"w')
    assert path.read_bytes() == b'"o""dd" "p""w"\n'
    assert users.put('o"dd', None) == 'p"w'
    assert users.password('o"dd') is None


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "list", tmp_path / "userlist.txt"
    real.write_text('"a" "b"\n')
    real.chmod(0o604)
    link.symlink_to(real)
    (tmp_path / "real" / f"list.{'0' * 16}.new").write_text("left behind")
    UserList(str(link)).put("app", "new")
    assert link.is_symlink()
    assert real.read_text() == '"a" "b"\n"app" "new"\n'
    assert real.stat().st_mode & 0o777 == 0o604
    assert os.listdir(real.parent) == ["list"]


def test_many_at_once_lose_nothing(tmp_path):
    path = tmp_path / "userlist.txt"
    path.write_bytes(b"")
    threads = [threading.Thread(target=UserList(str(path)).put, args=(f"u{n}", "x")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().split()) == sorted([f'"u{n}"' for n in range(20)] + ['"x"'] * 20)


@pytest.mark.parametrize("what", ["nothing", "a directory", "a FIFO"])
def test_what_is_no_list_is_refused(tmp_path, what):
    path = tmp_path / "userlist.txt"
    if what == "a directory":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    with pytest.raises(SourceRefusedError, match=r"pgbouncer's list .*userlist.txt: (there is no|it is )"):
        UserList(str(path)).put("app", "new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_refused_before(tmp_path):
    path = tmp_path / "userlist.txt"
    path.write_bytes(b"")
    tmp_path.chmod(0o500)
    with pytest.raises(SourceRefusedError, match="run strongroom as root, or as the owner"):
        UserList(str(path)).check()


@pytest.mark.parametrize(
    ("password", "form"),
    [(None, "none"), (VERIFIER, "scram"), ("md5" + "0" * 32, "md5"), ("md5", "plain"), ("", "plain")],
)
def test_the_form_of_a_password_is_known(password, form):
    assert kind(password) == form

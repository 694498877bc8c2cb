"""The nth system call fails: some two hundred of them here, each with each of its errors in the campaign."""

from __future__ import annotations

import errno
import os

import pytest

import strongroom

from . import failing, size
from .crash_model import KEYS
from .processes import result

pytestmark = pytest.mark.skipif(bool(failing.why_not()), reason=failing.why_not())
POINTS = size(3, 0)
"""How many calls and errors are tried for each case; 0 for all."""


def two_files(pipe: int) -> None:
    failing.mark()
    try:
        for name in ("/dev/null", "/dev/zero"):
            os.close(os.open(name, os.O_RDONLY))
        said = "ok"
    except OSError as error:
        said = errno.errorcode[error.errno]
    failing.mark()
    os.write(pipe, said.encode())


def test_the_call_that_is_chosen_fails_and_no_other():
    clean = failing.at(0, "", two_files)
    assert (clean.calls.count("openat"), clean.hit, clean.said) == (2, False, b"ok")
    second = [number for number, call in enumerate(clean.calls, 1) if call == "openat"][1]
    failed = failing.at(second, "EMFILE", two_files)
    assert (failed.calls, failed.hit, failed.said) == (clean.calls[:second], True, b"EMFILE")


@pytest.mark.parametrize("kind", ["sqlite", "file"])
def test_a_call_that_fails_is_a_clear_error_and_harms_nothing(kind, place, start, monkeypatch):
    for name in KEYS:
        monkeypatch.setenv(name, strongroom.generate_master_key())
    report = result(start("fault_driver", kind, place, POINTS, 1), timeout=size(300, 7_200))
    assert report["hits"] > 0.9 * report["points"] > 60
    assert not report["wrong"], "\n".join(f"{count} times {text}" for text, count in report["wrong"].items())

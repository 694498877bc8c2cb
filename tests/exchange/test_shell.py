"""`export` lines that a POSIX shell reads back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from strongroom.errors import InvalidInputError, InvalidNameError
from strongroom.exchange import parse, render

AWKWARD = {
    "A": 'it\'s $HOME `id` $(id) \\ "x" !1 ~ * ? # ; & | <>',
    "B": "two\nlines\n",
    "C": "",
    "D": "'",
    "E": "ünï\t\x1b",
    "_f1": "\\",
}


def test_a_shell_reads_back_every_value(tmp_path: Path) -> None:
    file = tmp_path / "exported"
    file.write_text(render(AWKWARD, "env"), newline="")
    program = '. "$1"; for name in A B C D E _f1; do eval "printf \'%s\\0\' \\"\\$$name\\""; done'
    run = subprocess.run(["/bin/sh", "-c", program, "sh", str(file)], capture_output=True, check=True)
    assert run.stdout.decode().split("\x00")[:-1] == list(AWKWARD.values())
    assert run.stderr == b""


def test_the_variables_are_exported() -> None:
    program = render({"STRONGROOM_TEST": "it's"}, "env") + "env"
    run = subprocess.run(["/bin/sh", "-c", program], capture_output=True, check=True, text=True)
    assert "STRONGROOM_TEST=it's\n" in run.stdout


@pytest.mark.parametrize("name", ["auth/db", "1A", "A-B", "A B", "A;id", "Ä", "A\u0661"])
def test_a_name_that_no_variable_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="cannot be a shell variable"):
        render({name: "x"}, "env")


def test_export_lines_are_not_read() -> None:
    with pytest.raises(InvalidInputError, match="read simple `export NAME=value` lines as dotenv"):
        parse(b"export A='1'\n", "env")

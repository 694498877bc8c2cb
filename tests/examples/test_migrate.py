"""The example of a move from `.env` works as its README says, with the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

try:
    from strongroom.cli import main
except ImportError:
    main = None  # type: ignore[assignment]

EXAMPLE = Path(__file__).parents[2] / "examples" / "migrate"


@pytest.mark.own_directory
@pytest.mark.skipif(main is None, reason="there is no command line")
def test_the_service_moves_from_dotenv_and_keeps_working(tmp_path: Path) -> None:
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path)}
    run = subprocess.run([EXAMPLE / "migrate.sh"], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("\nmoved\n")
    assert list(tmp_path.iterdir()) == [], "the scratch directory is left behind"


def test_only_the_lines_that_read_secrets_differ() -> None:
    before = (EXAMPLE / "before" / "app.py").read_text()
    after = (EXAMPLE / "after" / "app.py").read_text()
    for name in ("DATABASE_PASSWORD", "JWT_SECRET", "SMTP_PASSWORD"):
        before = before.replace(f'os.environ["{name}"]', f'get_secret_or_env("{name}")')
    assert after.replace("\nfrom strongroom import get_secret_or_env\n", "", 1) == before

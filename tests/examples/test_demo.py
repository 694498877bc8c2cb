"""The demo is run as a user runs it; it fails by itself when something does not happen as told."""

from __future__ import annotations

import os
import subprocess
import sys

DEMO = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "demo", "demo.py")


def test_the_demo_ends_as_it_is_told():
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "That was it." in done.stdout
    assert "NOT AS TOLD" not in done.stdout

from __future__ import annotations

import sys
from pathlib import Path

# `bench` is not installed, as no user of the package needs it.
sys.path.insert(0, str(Path(__file__).parents[2]))

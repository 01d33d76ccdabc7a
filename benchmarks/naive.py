"""The naive loops that the benchmarks compare with: tests/reference.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference

__all__ = ["reference"]

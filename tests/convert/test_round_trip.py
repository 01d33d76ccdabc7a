"""Into every tool's files and back: what comes back is what was there, or it is said what was lost.

The same trips, as a table: ``python benchmarks/annotation_tools.py``.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import annotation_tools

pytest.importorskip("skimage")


@pytest.mark.parametrize("tool", annotation_tools.TOOLS)
def test_nothing_is_lost_but_what_is_said(tool, tmp_path) -> None:
    one = annotation_tools.trip(tool, tmp_path)
    assert (one.before, one.after, one.least) == (21, 21, 1)
    assert one.classes is (tool != "cellpose")
    said = " ".join(one.lost)
    assert ("classes" in said) is (tool == "cellpose")


@pytest.mark.parametrize("tool", ["cellpose _seg.npy", "a mask an object"])
def test_tools_of_one_class(tool, tmp_path) -> None:
    one = annotation_tools.trip(tool, tmp_path)
    assert (one.before, one.after, one.least, one.classes) == (21, 21, 1, False)


def test_polygons_of_via_have_neither_holes_nor_parts(tmp_path) -> None:
    one = annotation_tools.trip("via", tmp_path)
    assert (one.after, one.classes) == (24, True)  # three objects had two parts
    assert one.least == 0.5
    assert one.mean > 0.9

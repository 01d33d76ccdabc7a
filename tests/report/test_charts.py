import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

from spatialembed.report.charts import bars, curves

X = [0.5, 0.6, 0.7, 0.8, 0.9]


def points(element):
    return [tuple(map(float, p.split(","))) for p in element.get("points").split()]


def test_curves_fall_where_values_fall():
    svg = ET.fromstring(curves({"a": (X, [0.9, 0.8, 0.8, 0.2, 0])}, {}, "x"))
    (line,) = svg.findall("polyline")
    across, down = zip(*points(line), strict=True)
    assert list(across) == sorted(across)
    assert down[0] < down[1] == down[2] < down[3] < down[4]
    assert across[2] - across[1] == pytest.approx(across[1] - across[0], abs=0.2)


def test_bands_lie_around_their_line_and_inside_the_chart():
    svg = ET.fromstring(curves({"a": (X, [1, 0.8, 0.5, 0.2, 0])}, {"a": [0.1] * 5}, "x"))
    band, line = points(svg.find("polygon")), points(svg.find("polyline"))
    for k, (_, y) in enumerate(line):
        assert band[k][1] <= y <= band[-1 - k][1]
    assert all(0 <= y <= 260 for _, y in band)


def test_names_at_the_ends_do_not_cover_each_other():
    lines = {f"class <{k}>": (X, [0.01 * k] * 5) for k in range(8)}
    svg = ET.fromstring(curves(lines, {}, "x"))
    names = [t for t in svg.findall("text") if "name" in t.get("class")]
    assert [t.text for t in names] == list(lines)
    heights = sorted(float(t.get("y")) for t in names)
    assert all(b - a > 13 for a, b in pairwise(heights))
    assert heights[-1] < 240


def test_lines_of_their_own_positions_share_one_axis():
    lines = {"a": ([0, 1], [1, 1]), "b": ([0.5, 1], [0, 0])}
    a, b = (points(line) for line in ET.fromstring(curves(lines, {}, "x")).findall("polyline"))
    assert a[1][0] == b[1][0]
    assert b[0][0] == pytest.approx((a[0][0] + a[1][0]) / 2)


def test_long_lines_have_no_dots():
    line = np.linspace(0, 1, 100).tolist()
    assert not ET.fromstring(curves({"a": (line, line)}, {}, "x")).findall("circle")


def test_bars_are_as_high_as_their_counts_and_parts():
    svg = ET.fromstring(bars(["0", "", "2", "4"], [4, 0, 2], "pixels", [1, 0, 2]))
    heights = [float(bar.get("height")) for bar in svg.findall("rect")]
    assert [round(4 * height / heights[0]) for height in heights] == [4, 1, 0, 0, 2, 2]
    told = [text.text for text in svg.findall("text")]
    assert told == ["1/4", "2/2", "0", "2", "4", "pixels"]
    assert len(ET.fromstring(bars(["0", "1"], [0], "pixels")).findall("rect")) == 2

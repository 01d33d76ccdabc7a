import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from spatialembed.report.charts import curves, histogram

X = [0.5, 0.6, 0.7, 0.8, 0.9]


def points(element):
    return [tuple(map(float, p.split(","))) for p in element.get("points").split()]


def test_curves_fall_where_values_fall():
    svg = ET.fromstring(curves(X, {"a": [0.9, 0.8, 0.8, 0.2, 0]}, {}, "x"))
    (line,) = svg.findall("polyline")
    across, down = zip(*points(line), strict=True)
    assert list(across) == sorted(across)
    assert down[0] < down[1] == down[2] < down[3] < down[4]
    assert across[2] - across[1] == pytest.approx(across[1] - across[0], abs=0.2)


def test_bands_lie_around_their_line_and_inside_the_chart():
    svg = ET.fromstring(curves(X, {"a": [1, 0.8, 0.5, 0.2, 0]}, {"a": [0.1] * 5}, "x"))
    band, line = points(svg.find("polygon")), points(svg.find("polyline"))
    for k, (_, y) in enumerate(line):
        assert band[k][1] <= y <= band[-1 - k][1]
    assert all(0 <= y <= 260 for _, y in band)


def test_names_at_the_ends_do_not_cover_each_other():
    lines = {f"class <{k}>": [0.01 * k] * 5 for k in range(8)}
    svg = ET.fromstring(curves(X, lines, {}, "x"))
    names = [t for t in svg.findall("text") if "name" in t.get("class")]
    assert [t.text for t in names] == list(lines)
    heights = sorted(float(t.get("y")) for t in names)
    assert all(b - a > 13 for a, b in pairwise(heights))
    assert heights[-1] < 240


def test_histogram_counts_both_ends():
    svg = ET.fromstring(histogram([0, 0.05, 0.1, 0.999, 1, 0.3], "AP"))
    heights = [float(r.get("height")) for r in svg.findall("rect")]
    unit = heights[1]
    assert [round(h / unit) for h in heights] == [2, 1, 0, 1, 0, 0, 0, 0, 0, 2]
    assert len(ET.fromstring(histogram([], "AP")).findall("rect")) == 10

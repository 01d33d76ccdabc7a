"""Outlines through the centers of pixels are told from those along their edges."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from spatialembed.data import open_data
from spatialembed.data.annotations.coco_json import Annotation
from spatialembed.data.annotations.pixel_centers import runs_through_centers

SQUARE = [28, 28, 28, 33, 33, 33, 33, 28]
"""Around 6x6 pixels as OpenCV draws it."""

DISC = [30, 28, 29, 29, 28, 30, 29, 31, 30, 32, 31, 31, 32, 30, 31, 29]
"""Around 13 pixels, of which 8 are on the line."""


def outlined(outline, area):
    return Annotation(1, "1", "1", "1", False, False, outline, None, area)


@pytest.mark.parametrize(
    ("outline", "area", "expected"),
    [
        ([SQUARE], 36, True),
        ([SQUARE[::-1]], 36.0, True),
        ([DISC], 13, True),
        ([SQUARE], 25, False),
        ([SQUARE], 30, False),
        ([[v + 0.5 for v in SQUARE]], 36, False),
        ([SQUARE, DISC], 49, False),
        ([SQUARE], None, False),
        ([SQUARE], float("nan"), False),
        ([[1, 1, 9, 1]], 9, False),
        ([[1, 1, 9, 1, 5]], 9, False),
        ([[3, 3, 12, 3, 3, 3]], 10, False),
        ([["a", 1, 2, 3, 4, 5]], 9, False),
        ([], 9, False),
        (["1"], 9, False),
        ({"size": [9, 9], "counts": [81]}, 9, False),
    ],
)
def test_the_area_tells(outline, area, expected):
    assert runs_through_centers(outlined(outline, area)) is expected


@pytest.mark.parametrize(("areas", "told"), [((36, 36, 25), True), ((36, 25, 25), False)])
def test_check_warns_where_most_are(tmp_path, areas, told):
    rows = [
        {"id": n, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": area,
         "segmentation": [[v - 9 * n for v in SQUARE]]}
        for n, area in enumerate(areas, start=1)
    ]  # fmt: skip
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("L", (60, 60)).save(tmp_path / "images" / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 60, "width": 60}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": rows,
    }
    (tmp_path / "annotations" / "instances_train.json").write_text(json.dumps(content))
    said = [str(problem) for problem in open_data(tmp_path, split="train").problems]
    assert (
        any("2 of 3 annotations" in each and "half a pixel smaller" in each for each in said)
        == told
    )

"""Masks of polygons and run lengths are pycocotools', to the last pixel; the rest is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from pycocotools.coco import COCO

from spatialembed.data.annotations.masks import (
    area,
    box_mask,
    pixels,
    run_lengths,
    segmentation_mask,
)

sides = st.integers(1, 60)
coordinates = st.one_of(
    st.floats(-40, 90), st.integers(-40, 90), st.integers(-400, 900).map(lambda n: n / 10)
)
polygons = st.lists(
    st.integers(3, 8).flatmap(lambda n: st.lists(coordinates, min_size=2 * n, max_size=2 * n)),
    min_size=1,
    max_size=3,
)


def as_array(mask, height, width):
    flat = np.zeros(height * width, bool)
    flat[pixels(mask)] = True
    assert area(mask) == flat.sum()
    return flat.reshape(width, height).T


def official(segmentation, height, width):
    """As the official COCO class draws an annotation."""
    reader = COCO()
    reader.dataset = {
        "images": [{"id": 1, "height": height, "width": width}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    reader.createIndex()
    return np.asarray(reader.annToMask(reader.anns[1]))


@settings(max_examples=300, deadline=None)
@given(polygons, sides, sides)
def test_polygons(shape, height, width):
    mask = as_array(segmentation_mask(shape, height, width), height, width)
    np.testing.assert_array_equal(mask, official(shape, height, width))


@settings(max_examples=100, deadline=None)
@given(polygons, sides, sides, st.lists(st.lists(coordinates, max_size=2), max_size=2))
def test_parts_of_fewer_than_three_corners_add_nothing(shape, height, width, parts):
    short = [part * 2 for part in parts]
    both = segmentation_mask([*short, *shape], height, width)
    assert both == segmentation_mask(shape, height, width)
    assert area(segmentation_mask(short, height, width)) == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), sides, sides, st.floats(0, 1, width=16))
def test_run_lengths(seed, height, width, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    runs = run_lengths(counts).tolist()
    for written in (counts, counts.decode(), runs, [float(n) for n in runs], [0, 0, *runs, 0]):
        shape = {"size": [height, width], "counts": written}
        drawn = as_array(segmentation_mask(shape, height, width), height, width)
        np.testing.assert_array_equal(drawn, mask)


def test_run_lengths_by_hand():
    # 100 is 4 and 3 * 32, so T (48 + 32 + 4) and 3; the fourth is -1 beside it, O (48 + 31)
    for counts in ("9T37O", b"9T37O"):
        assert run_lengths(counts).tolist() == [9, 100, 7, 99]
    whole = {"size": [10, 100], "counts": [9, 700, 291]}
    assert pixels(segmentation_mask(whole, 10, 100)).tolist() == list(range(9, 709))
    assert run_lengths(segmentation_mask(whole, 10, 100)["counts"]).tolist() == [9, 700, 291]
    assert run_lengths("").tolist() == []


def test_long_runs():
    mask = np.zeros((700, 3000), np.uint8, order="F")
    mask[100:600, 900:2000] = 1
    mask[650, 2999] = 1
    shape = {"size": [700, 3000], "counts": coco.encode(mask)["counts"]}
    np.testing.assert_array_equal(as_array(segmentation_mask(shape, 700, 3000), 700, 3000), mask)


def test_a_box_is_exact():
    expected = np.zeros((20, 30), bool)
    expected[5:10, 2:30] = True
    np.testing.assert_array_equal(as_array(box_mask([2, 5, 28, 5], 20, 30), 20, 30), expected)
    assert area(box_mask([-9, -9, 99, 99], 20, 30)) == 600
    assert area(box_mask([3, 4, 0, 5], 20, 30)) == 0


@pytest.mark.parametrize("counts", ["P", " ", "\x7f", "ä", "\ud800", "PPPPPPPPPP0", b"\x00", "4`"])
def test_damaged_run_lengths(counts):
    with pytest.raises(ValueError, match="damaged"):
        run_lengths(counts)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([3, -1, 4], "add up to 6"),
        ([5, 2], "add up to 6"),
        ([5], "add up to 6"),
        ([], "add up to 6"),
        ([2.5, 3.5], "whole"),
        ("16", "add up to 6"),
        ("5O", "add up to 6"),
        ([[6]], "finite numbers"),
        ([None], "finite numbers"),
        (["a", 6], "finite numbers"),
        (["1", "1", "2", "1", "2", "2"], "finite numbers"),
        ([True, False, True, True, False, True], "finite numbers"),
        ([[1], [1, 2]], "finite numbers"),
        ([10**400], "finite numbers"),
        (None, "finite numbers"),
        (6, "finite numbers"),
    ],
)
def test_run_lengths_that_are_not_of_the_image(counts, said):
    with pytest.raises(ValueError, match=said):
        segmentation_mask({"size": [2, 3], "counts": counts}, 2, 3)


@pytest.mark.parametrize(
    ("size", "said"),
    [([3, 2], "swapped"), ([2, 4], "of size"), (None, "of size"), (6, "of size"), ([2], "of size")],
)
def test_run_lengths_of_another_size(size, said):
    with pytest.raises(ValueError, match=said):
        segmentation_mask({"size": size, "counts": [6]}, 2, 3)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ([[1, 2, 3, 4, 5, 6, 7]], "x, y pairs"),
        ([[1, 2, float("nan"), 3, 4, 5]], "finite"),
        ([[1, 2, float("inf"), 3, 4, 5]], "finite"),
        ([1, 2, 3, 4, 5, 6], "finite"),
        ([[[1, 2], [3, 4], [5, 6]]], "finite"),
        ([[1, 2, 3, 4, 5, None]], "finite"),
        ([{"x": 1}], "finite"),
        ([[0, 0, 1e9, 0, 1e9, 1]], "farther"),
        ([[0, 0, 2e6, 0, 2e6, 2e6, 0, 2e6]], "farther"),
        ([[1e300, 0, 1e300, 1, 0, 0]], "farther"),
        ("1 2 3 4 5 6", "neither"),
        (5, "neither"),
        (True, "neither"),
    ],
)
def test_malformed_polygons(shape, said):
    with pytest.raises(ValueError, match=said):
        segmentation_mask(shape, 5, 5)


@pytest.mark.parametrize(
    "box", [None, [], [1, 2, 3], "abcd", [1, 2, float("nan"), 4], [[1, 2, 3, 4]]]
)
def test_malformed_boxes(box):
    with pytest.raises(ValueError, match="number"):
        box_mask(box, 5, 5)

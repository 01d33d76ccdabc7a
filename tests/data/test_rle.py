"""Run lengths and polygons against pycocotools, which the product does without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.data.rle import decode_counts, polygon_to_mask, runs_to_mask

coco_mask = pytest.importorskip("pycocotools.mask")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.floats(0, 1, width=16))
def test_compressed_run_lengths(seed, height, width, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    counts = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    for text in (counts, counts.decode()):
        np.testing.assert_array_equal(runs_to_mask(decode_counts(text), height, width), mask)


def test_long_runs():
    mask = np.zeros((700, 3000), np.uint8, order="F")
    mask[100:600, 900:2000] = 1
    mask[650, 2999] = 1
    counts = coco_mask.encode(mask)["counts"]
    np.testing.assert_array_equal(runs_to_mask(decode_counts(counts), 700, 3000), mask)


def test_malformed_run_lengths():
    for text in ("P", " ", "\x7f"):
        with pytest.raises(ValueError, match="run lengths"):
            decode_counts(text)
    for runs in ([3, -1, 4], [5, 2], [], [[6]]):
        with pytest.raises(ValueError, match="add up to 6 pixels"):
            runs_to_mask(runs, 2, 3)


def inside(x, y, corners):
    """Even-odd rule by the book, for one point."""
    result = False
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (ya > y) != (yb > y) and x < (xb - xa) * (y - ya) / (yb - ya) + xa:
            result = not result
    return result


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 12), st.integers(1, 12))
def test_pixels_are_those_whose_center_is_inside(seed, n, height, width):
    corners = np.random.default_rng(seed).uniform(-4, 16, (n, 2))
    mask = polygon_to_mask(corners.ravel().tolist(), height, width)
    for y, x in np.ndindex(height, width):
        assert mask[y, x] == inside(x + 0.5, y + 0.5, corners)


def test_a_box_is_exact():
    mask = np.zeros((20, 30), bool)
    mask[5:10, 2:30] = True
    np.testing.assert_array_equal(polygon_to_mask([2, 5, 30, 5, 30, 10, 2, 10], 20, 30), mask)
    assert polygon_to_mask([-9, -9, 99, -9, 99, 99, -9, 99], 20, 30).all()


def test_polygons_agree_with_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(60):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 30)))
        radius = rng.uniform(60, 90, len(angle))
        corners = np.stack([100 + radius * np.cos(angle), 95 + radius * np.sin(angle)], axis=1)
        polygon = corners.ravel().tolist()
        ours = polygon_to_mask(polygon, 190, 200)
        theirs = coco_mask.decode(coco_mask.frPyObjects([polygon], 190, 200))[..., 0] > 0
        assert (ours & theirs).sum() > 0.96 * (ours | theirs).sum()
        assert abs(int(ours.sum()) - int(theirs.sum())) < 0.025 * theirs.sum()


def test_malformed_polygons():
    for polygon in ([1, 2, 3], [1, 2, float("nan"), 3, 4, 5], [[1, 2], [3, 4]]):
        with pytest.raises(ValueError, match="x, y pairs"):
            polygon_to_mask(polygon, 5, 5)

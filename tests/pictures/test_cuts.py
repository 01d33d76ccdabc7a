import numpy as np
import pytest

from spatialembed.pictures import cuts
from spatialembed.pictures.cuts import LEAST, WIDE, _marked
from spatialembed.pictures.overlays import EXTRA, HIT, MISSED
from spatialembed.pictures.planes import Plane


def volume() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, found and truth: one hit, behind it one missed, beside them one extra."""
    image = np.random.default_rng(0).integers(0, 255, (10, 40, 60, 1), dtype=np.uint8)
    found, truth = np.zeros((10, 40, 60), np.int32), np.zeros((10, 40, 60), np.int32)
    found[1:4, 5:35, 5:30] = truth[1:4, 5:35, 5:30] = 1
    truth[6:9, 10:20, 10:20] = 2
    found[1:6, 10:20, 40:50] = 2
    return image, found, truth


def has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(-1).any())


@pytest.mark.parametrize("spacing", [None, (3.0, 1.0, 1.0)])
def test_a_sheet_shows_three_cuts_and_all_planes_at_one_scale(spacing) -> None:
    sheet = cuts(*volume(), spacing)
    deep = 3 if spacing else 1
    scale = round(WIDE / 60)
    assert sheet.shape[1] > 2 * 60 * scale  # large
    # Two rows of pictures: planes above, what is cut across them below, as tall as they are deep.
    titles = sheet.shape[0] - scale * (40 + 10 * deep)
    assert 50 < titles < 150
    left, right = sheet[:, : sheet.shape[1] // 2], sheet[:, sheet.shape[1] // 2 :]
    above = titles // 2 + 40 * scale
    assert has(left[60:above], HIT)
    assert has(left[60:above], EXTRA)
    assert not has(left[60:above], MISSED)  # not in this plane, but for its word in the key
    assert has(right[:above], MISSED)  # behind what was hit
    assert has(right[:above], EXTRA)


def test_marks_show_where_the_other_planes_are() -> None:
    planes = [Plane(0, 1), Plane(1, 5), Plane(2, 7)]
    black = np.zeros((4 * 10, 4 * 20, 3), np.uint8)  # z down, x to the right
    seen = _marked(black, planes[1], planes, (4, 4, 4))
    rows, columns = (np.flatnonzero(seen.any((1 - axis, 2))) for axis in (0, 1))
    assert {5, 6} <= set(rows.tolist())  # z = 1, in its middle
    assert {29, 30} <= set(columns.tolist())  # x = 7
    assert not seen[10:30, 10:25].any()
    assert not black.any()


def test_nothing_found_and_no_truth_are_drawn_too() -> None:
    image, found, truth = volume()
    nothing = np.zeros_like(truth)
    for pair in ((found, nothing), (nothing, truth), (nothing, nothing)):
        assert cuts(image, *pair).dtype == np.uint8


def test_a_deep_volume_keeps_its_titles_and_a_bounded_size() -> None:
    deep = np.zeros((900, 20, 20), np.int32)
    deep[5:800, 4:9, 4:9] = 1
    sheet = cuts(deep[..., None], deep, deep)
    assert sheet.shape[1] > 2 * LEAST
    assert sheet.shape[0] < 1400

"""Masks that are none of objects are told by their kind; masks of objects are left alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage.segmentation import find_boundaries

from spatialembed.data.checks.mask_signs import Sign, Signs, rim_sign, signs_of
from spatialembed.data.checks.mask_warnings import mask_warnings, speck_warnings
from spatialembed.data.parts import objects_in, parts_of

GRID = [(20 + 30 * i, 20 + 30 * j) for i in range(4) for j in range(4)]
BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


def discs(centers=GRID, size=(128, 128), radius=9):
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, np.int32)
    for k, (cy, cx) in enumerate(centers, start=1):
        mask[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = k
    return mask


def look(mask, as_stored=True):
    mask = np.asarray(mask).astype(np.int32)
    table = parts_of(mask, mask > 0).table
    return signs_of(table, mask.shape, rim_sign(mask) if as_stored else None, as_stored)


def resized(mask, side, how):
    image = Image.fromarray(mask.astype(np.float32)).resize((side, side), how)
    return np.asarray(image).round().clip(0)


def bordered(mask, width, label):
    return np.where(ndimage.binary_dilation(mask > 0, iterations=width) & (mask == 0), label, mask)


def outlines(mask, mode):
    return np.where(find_boundaries(mask, mode=mode), mask, 0)


MASK = discs()
MANY = discs([(8 + 14 * i, 8 + 14 * j) for i in range(20) for j in range(20)], (288, 288), 5)
FULL = np.where(MASK > 0, 255, 0)
TOUCHING = np.zeros((128, 128), np.int32)
TOUCHING[20:60, 20:60], TOUCHING[20:60, 60:100], TOUCHING[60:100, 20:100] = 1, 2, 3


@pytest.mark.parametrize(
    ("mask", "sign"),
    [
        (FULL, Sign.SEMANTIC),
        (MASK > 0, Sign.SEMANTIC),
        (np.where(MASK > 0, 1 + MASK % 2, 0), Sign.SEMANTIC),
        (np.tile(MASK, (2, 2)), Sign.SHARED),
        (MANY.astype(np.uint8), Sign.WRAPPED),
        (MANY.clip(0, 255), Sign.WRAPPED),
        (MASK + 1, Sign.BACKGROUND),
        (np.where(MASK > 0, MASK, 65535), Sign.BACKGROUND),
        (np.where(bordered(MASK, 1, 99) == 99, 0, MASK + 1), Sign.BACKGROUND),
        (255 - FULL, Sign.INVERTED),
        (np.where(MASK == 16, 255, MASK), Sign.VOID),
        (np.where(MASK == 16, 65535, MASK), Sign.VOID),
        (bordered(MASK, 2, 255), Sign.BORDER),
        (bordered(MASK, 5, 255), Sign.BORDER),
        (bordered(np.where(MASK == 6, 1, 0), 3, 255), Sign.BORDER),
        (np.where(ndimage.grey_dilation(TOUCHING, 5) == TOUCHING, TOUCHING, 255), Sign.BORDER),
        (bordered(TOUCHING, 3, 255), Sign.BORDER),
        (outlines(MASK, "inner"), Sign.OUTLINES),
        (outlines(MASK, "thick"), Sign.OUTLINES),
        (outlines(TOUCHING, "inner"), Sign.OUTLINES),
        (resized(FULL, 100, BILINEAR), Sign.INTERPOLATED),
        (resized(np.where(MASK == 6, 255, 0), 300, BILINEAR), Sign.INTERPOLATED),
        (resized(MASK, 100, BILINEAR), Sign.INTERPOLATED),
        (resized(MASK, 300, BILINEAR), Sign.INTERPOLATED),
        (resized(MASK, 100, BICUBIC), Sign.INTERPOLATED),
    ],
)
def test_what_a_mask_is_instead_of_one_of_objects(mask, sign):
    assert look(mask).clear == {sign}


def test_objects_with_holes_are_no_outlines():
    for thickness in (4, 5):  # of discs of radius 9
        inside = ndimage.binary_erosion(MASK > 0, iterations=thickness)
        assert look(np.where(inside, 0, MASK)) == Signs(16)
    few = np.where(MASK < 9, outlines(MASK, "inner"), MASK)
    assert look(few) == Signs(16)


def test_a_border_between_classes_is_one_of_a_class_mask():
    assert look(bordered(MASK > 0, 2, 2)).clear == {Sign.BORDER, Sign.SEMANTIC}


def test_two_objects_of_one_id_are_a_hint_only():
    signs = look(np.where((MASK == 1) | (MASK == 16), 7, 0))
    assert (signs.clear, signs.hints, signs.shared) == (frozenset(), {Sign.SEMANTIC}, 1)
    assert look(np.where(MASK == 6, 255, 0)).hints == {Sign.BINARY}
    assert look(np.where((MASK == 6) | (MASK == 7), 255, 0)).clear == {Sign.BINARY}
    assert look(np.where((MASK == 1) | (MASK == 16), 255, 0)).clear == {Sign.SEMANTIC}
    assert look(np.where(MASK == 6, 1, 0)) == Signs(1)


def test_a_lone_255_is_an_object_where_ids_number_objects():
    lone, pair = np.where(MASK == 6, 255, 0), np.where((MASK == 6) | (MASK == 7), 255, 0)
    assert mask_warnings(seen(lone, lone, MASK, MASK * 0, MASK, MASK)) == []
    for masks in ([lone], [lone, lone, MASK, MASK], [lone, MASK * 0, FULL]):
        assert any("no id but 255" in p.message for p in mask_warnings(seen(*masks)))
    assert mask_warnings(seen(lone), seen(MASK, MASK)) == []
    assert len(mask_warnings(seen(lone), seen(FULL, lone))) == 1
    (problem,) = mask_warnings(seen(lone, pair, *[MASK] * 9))
    assert "no id but 255" in problem.message
    assert problem.file.name == seen(lone, pair)[1][0].name


def test_a_high_id_among_ids_that_do_not_count_from_1_says_nothing():
    for mask in (np.where(MASK > 0, MASK + 239, 0), np.where(MASK == 16, 255, MASK * 7)):
        assert look(mask).clear == frozenset()


def test_stray_pixels_are_counted():
    mask = MASK.copy()
    mask[127, 127] = 1
    mask[:2, 126:] = 13
    mask[22, 30] = 1  # near the first
    signs = look(mask)
    assert (signs.stray, signs.shared, signs.clear, signs.hints) == (2, 0, frozenset(), frozenset())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 12), st.integers(0, 3))
def test_masks_of_objects_show_nothing(seed, count, radius, bars):
    """Discs that touch and cover each other, cut by bars as by what stands in front of them."""
    rng = np.random.default_rng(seed)
    mask = discs(rng.integers(0, 160, (count, 2)), (160, 160), radius)
    for _ in range(bars):
        at, width = rng.integers(0, 160), rng.integers(1, 2 + radius // 3)
        mask[:, at : at + width] = 0
    signs = look(mask)
    assert (signs.clear, signs.hints) == (frozenset(), frozenset())
    large = np.kron(mask, np.ones((3, 3), int))  # resized by nearest neighbour
    assert look(large).clear == frozenset()


def test_an_object_behind_a_fence_is_no_class():
    mask = np.where(discs([(60, 60)], radius=50) > 0, 1, 0)
    mask[:, ::9] = 0
    assert (look(mask).clear, look(mask).shared) == (frozenset(), 0)


def test_ids_that_are_numbers_of_annotations_say_nothing_by_themselves():
    assert look(MASK + 1, as_stored=False) == Signs(17)
    assert look(MANY.astype(np.uint8), as_stored=False).clear == {Sign.SHARED}
    assert look(FULL, as_stored=False).hints == {Sign.SEMANTIC}


def seen(*masks):
    found = []
    for k, mask in enumerate(masks):
        table = parts_of(mask, mask > 0).table
        found.append((Path(f"{k}.png"), look(mask), objects_in(table)[:, 6]))
    return found


def test_files_of_one_cause_are_one_sentence():
    problems = mask_warnings(seen(*[FULL] * 6, MASK + 1, MASK))
    assert all(problem.warning for problem in problems)
    first, second = problems
    assert (first.file, second.file) == (Path("0.png"), Path("6.png"))
    assert first.message == f"{Sign.SEMANTIC.value}; so are 5 more: 1.png, 2.png, 3.png, ..."
    assert second.message == Sign.BACKGROUND.value


def test_hints_are_said_where_they_are_many():
    pair = np.where((MASK == 1) | (MASK == 16), 7, 0)
    assert mask_warnings(seen(pair, *[MASK] * 5)) == []
    (problem,) = mask_warnings(seen(pair, MASK, MASK * 0, MASK, MASK, MASK))
    assert problem.message == Sign.SEMANTIC.value


def test_slips_are_said_where_they_are_many():
    slip, stray = MASK.copy(), MASK.copy()
    slip[slip == 16] = 1
    stray[127, 127] = 1
    assert mask_warnings(seen(slip, *[MASK] * 5)) == []
    (problem,) = mask_warnings(seen(slip, MASK))
    assert problem.message == f"{Sign.SHARED.value} (1 of 31 objects)"
    assert mask_warnings(seen(stray, *[MASK] * 6)) == []
    (problem,) = mask_warnings(seen(MASK, stray, stray))
    assert problem.message == f"{Sign.STRAY.value} (2 of 48 objects); so is 1 more: 2.png"


def test_marks_of_positions_are_said():
    marks = np.zeros((64, 64), np.int32)
    marks[8::16, 8::16] = np.arange(1, 17).reshape(4, 4)
    (problem,) = mask_warnings(seen(marks, marks * 0, marks))
    assert problem.message.startswith("has no object of more than 4 pixels: does it mark where")
    assert problem.message.endswith("its id; so is 1 more: 2.png")
    assert mask_warnings(seen(marks, MASK)) == []
    assert mask_warnings(seen(marks * 0)) == []


def test_specks_are_said_where_they_would_decide():
    speckled = MASK.copy()
    speckled[::16, 127] = np.arange(100, 108)
    (problem,) = speck_warnings(seen(MASK, speckled))
    assert problem.file == Path("1.png")
    assert "at most 9 pixels" in problem.message
    assert "(8 of 40 objects)" in problem.message
    assert speck_warnings(seen(*[MASK] * 6, speckled)) == []

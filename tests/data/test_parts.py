"""Parts of objects against scipy's labels id by id, of whole images and of blocks."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spatialembed.data.images.windows import WindowedImage, blocks
from spatialembed.data.parts import joined, objects_in, part_map, parts_of


def naive(mask, classes):
    """Id, class, first pixel, box and pixels of every part, by ids, then by first pixels."""
    rows = []
    for label in np.unique(mask[mask > 0]):
        parts, count = ndimage.label(mask == label, np.ones((3, 3)))
        of_label = []
        for part in range(1, count + 1):
            y, x = np.nonzero(parts == part)
            box = [y.min(), x.min(), y.max() + 1, x.max() + 1]
            of_label.append([label, classes[y[0], x[0]], y[0], x[0], *box, len(y)])
        rows += sorted(of_label, key=lambda row: row[2:4])
    return np.array(rows, np.int64).reshape(-1, 9)


def drawn(seed, shape, grain):
    """A mask of few ids in patches of ``grain`` pixels, with large ids, and its classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 5, shape) * (rng.random(shape) < rng.random())
    mask = np.kron(coarse, np.ones((grain, grain), np.int64)).astype(np.int32)
    mask[mask > 0] += 2**31 - 20
    return mask, np.where(mask > 0, rng.integers(0, 3, mask.shape), -1).astype(np.int16)


def gap(part, other):
    """Between the boxes of two parts, in pixels."""
    down = max(part[4] - other[6], other[4] - part[6], 0)
    across = max(part[5] - other[7], other[5] - part[7], 0)
    return np.hypot(down, across)


def length(part):
    return np.hypot(part[6] - part[4], part[7] - part[5])


shapes = st.tuples(st.integers(1, 25), st.integers(1, 25))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes, st.integers(1, 3))
def test_parts_of_any_mask(seed, shape, grain):
    mask, classes = drawn(seed, shape, grain)
    expected = naive(mask, classes)
    np.testing.assert_array_equal(parts_of(mask, classes).table, expected)
    numbers = part_map(mask)
    assert numbers.max() == len(expected)
    assert len(np.unique(np.stack([mask, numbers])[:, mask > 0], axis=1).T) == len(expected)
    np.testing.assert_array_equal(numbers > 0, mask > 0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    shapes,
    st.integers(1, 3),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.integers(1, 900),
)
def test_blocks_give_the_parts_of_the_whole(seed, shape, grain, chunk, pixels):
    mask, classes = drawn(seed, shape, grain)
    image = WindowedImage(
        Path("mask"), mask.shape, 1, mask.dtype, chunk, lambda r, c: mask[r, c, None]
    )
    found = joined(
        parts_of(mask[rows, columns], classes[rows, columns], (rows.start, columns.start))
        for rows, columns in blocks(image, pixels)
    )
    np.testing.assert_array_equal(found, naive(mask, classes))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes, st.integers(1, 3))
def test_objects_have_the_box_of_their_largest_part_and_what_is_near(seed, shape, grain):
    mask, classes = drawn(seed, shape, grain)
    parts = naive(mask, classes)
    expected = []
    for label in np.unique(parts[:, 0]):
        own = parts[parts[:, 0] == label]
        largest = own[own[:, 8].argmax()]  # the first of equal ones
        near = np.array([part for part in own if gap(part, largest) < length(largest)])
        box = [*near[:, 4:6].min(0), *near[:, 6:8].max(0)]
        expected.append([label, own[0, 1], *box, np.count_nonzero(mask == label)])
    found = objects_in(parts_of(mask, classes).table)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.array(expected).reshape(-1, 7))

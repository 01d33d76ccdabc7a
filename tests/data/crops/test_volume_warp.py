"""How a crop of a volume is warped out of it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.data.crops.augmentation import Change
from spatialembed.data.crops.volume_warp import VolumeWarp


def source_of(
    change: Change, center: tuple[float, ...], shape: tuple[int, int], at: tuple[int, int, int]
) -> tuple[int, float, float]:
    """Where voxel ``at`` of a crop comes from: turned first, then mirrored, then moved."""
    depth, side = shape
    half = (side - 1) / 2
    p, row, column = at
    y, x = row - half, column - half
    for _ in range(change.turns % 4):
        y, x = x, -y
    x = -x if change.flip else x
    z, cy, cx = center
    if change.scale == 1:
        cy, cx = (math.floor(c - half + 0.5) + half for c in (cy, cx))
    first = math.floor(z - (depth - 1) / 2 + 0.5)
    plane = first + (depth - 1 - p if change.upturned else p)
    return plane, cy + y / change.scale, cx + x / change.scale


def blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) by loops, its border continued outside."""
    if sigma <= 0.25:
        return plane
    radius = math.ceil(3 * sigma)
    steps = range(-radius, radius + 1)
    weight = {k: math.exp(-0.5 * (k / sigma) ** 2) for k in steps}
    total = sum(weight.values())
    height, width = plane.shape
    down, result = np.zeros(plane.shape), np.zeros(plane.shape)
    for y, x in np.ndindex(height, width):
        own = (weight[k] * plane[min(max(y + k, 0), height - 1), x] for k in steps)
        down[y, x] = sum(own) / total
    for y, x in np.ndindex(height, width):
        own = (weight[k] * down[y, min(max(x + k, 0), width - 1)] for k in steps)
        result[y, x] = sum(own) / total
    return result


def between(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear, the border continued outside."""
    y, x = (min(max(at, 0), n - 1) for at, n in zip((y, x), plane.shape, strict=True))
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
    v, u = y - top, x - left
    upper = plane[top, left] * (1 - u) + plane[top, right] * u
    return (1 - v) * upper + v * (plane[bottom, left] * (1 - u) + plane[bottom, right] * u)


@pytest.mark.parametrize(
    "change",
    [
        Change(),
        Change(upturned=True),
        Change(flip=True, turns=1, upturned=True),
        Change(turns=3, scale=1.6),
        Change(scale=0.55, upturned=True),
        Change(flip=True, turns=2, blur=0.8, scale=1.3),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "center",
    [(2.0, 4.0, 5.0), (-1.3, 0.2, 8.6), (6.4, 11.0, -3.0), (-20.0, 4.0, 4.0), (50.0, 4.0, 4.0)],
)
def test_a_warp_is_a_loop_over_voxels(change, center) -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((2, 6, 9, 10)).astype(np.float32)
    mask = np.arange(1, 6 * 9 * 10 + 1).reshape(6, 9, 10)
    shape = (5, 6)
    warp = VolumeWarp.about(center, change, shape)
    image, labels, inside = (
        warp.image(volume, change.blur),
        warp.nearest(mask),
        warp.inside((6, 9, 10)),
    )
    assert image.shape == (2, 5, 6, 6)
    assert labels.shape == inside.shape == (5, 6, 6)
    step = 1 / change.scale
    sigma = math.hypot(change.blur * step, 0.5 * math.sqrt(max(step**2 - 1, 0)))
    planes = {(c, z): blurred(volume[c, z], sigma) for c in range(2) for z in range(6)}
    for at in np.ndindex(5, 6, 6):
        z, y, x = source_of(change, center, shape, at)
        row, column = math.floor(y + 0.5), math.floor(x + 0.5)
        assert inside[at] == (0 <= z < 6 and 0 <= row < 9 and 0 <= column < 10)
        nearest = min(max(z, 0), 5), min(max(row, 0), 8), min(max(column, 0), 9)
        assert labels[at] == mask[nearest]
        for c in range(2):
            expected = between(planes[c, nearest[0]], y, x)
            assert image[(c, *at)] == pytest.approx(expected, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 12)] * 3),
    st.tuples(*[st.floats(-15, 25)] * 3),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0.6, 1.0, 1.7]),
)
def test_a_window_holds_all_that_a_crop_needs(shape, center, turns, upturned, scale) -> None:
    change = Change(turns=turns, upturned=upturned, scale=scale)
    warp = VolumeWarp.about(center, change, (5, 6))
    volume = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    window = warp.window(shape)
    assert all(0 <= side.start < side.stop <= n for side, n in zip(window, shape, strict=True))
    moved = warp.moved(*(-side.start for side in window))
    part = np.ascontiguousarray(volume[(slice(None), *window)])
    np.testing.assert_array_equal(moved.image(part), warp.image(volume))
    np.testing.assert_array_equal(moved.nearest(part), warp.nearest(volume))

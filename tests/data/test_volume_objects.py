"""Objects of volumes against a loop over voxels, and the index that holds them."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from test_index import same

from spatialembed.data import index as index_module
from spatialembed.data import open_data
from spatialembed.data.index import build_object_index, object_index
from spatialembed.data.volume_objects import objects_in_volume
from spatialembed.errors import UserError


def by_loops(mask: np.ndarray, classes: np.ndarray, ignore: np.ndarray) -> list[list[int]]:
    """Each id's class, box of its largest part (the one whose first voxel comes first), voxels.

    Planes that are ignored are passed over, and count as the others at the end.
    """
    planes = [z for z in range(len(mask)) if mask[z].any() or not ignore[z].all()]
    mask, classes = mask[planes], classes[planes]
    rows = []
    for label in sorted({int(value) for value in mask.ravel()} - {0}):
        voxels = [tuple(int(n) for n in at) for at in np.argwhere(mask == label)]
        left, parts = set(voxels), []
        for first in voxels:
            if first not in left:
                continue
            part, open_ends = [], [first]
            left.remove(first)
            while open_ends:
                at = open_ends.pop()
                part.append(at)
                near = [n for n in left if max(abs(a - b) for a, b in zip(n, at, strict=True)) <= 1]
                left -= set(near)
                open_ends += near
            parts.append(part)
        largest = max(parts, key=len)  # the first of equal ones
        low = [min(at[axis] for at in largest) for axis in range(3)]
        high = [max(at[axis] for at in largest) + 1 for axis in range(3)]
        z, end = planes[low[0]], planes[high[0] - 1] + 1
        count = round(len(voxels) * (end - z) / (high[0] - low[0]))
        rows.append([label, int(classes[voxels[0]]), z, *low[1:], end, *high[1:], count])
    return rows


@settings(max_examples=60, deadline=None)
@given(
    array_shapes(min_dims=3, max_dims=3, max_side=6).flatmap(
        lambda shape: arrays(np.int32, shape, elements=st.sampled_from([0, 0, 0, 2, 7, 2**31 - 1]))
    ),
    st.integers(0, 9),
    st.integers(1, 3),
)
def test_equals_a_loop(mask, seed, step) -> None:
    classes = np.random.default_rng(seed).integers(0, 3, mask.shape).astype(np.int16)
    ignore = np.zeros(mask.shape, bool)
    ignore[np.arange(len(mask)) % step > 0] = True
    mask[ignore] *= seed % 2  # some are ignored and labelled
    classes = np.where(mask > 0, classes, -1).astype(np.int16)
    found = objects_in_volume(mask, classes, ignore)
    assert found.dtype == np.int32
    assert found.shape[1] == 9
    assert found.tolist() == by_loops(mask, classes, ignore)
    if step == 1:
        assert found.tolist() == objects_in_volume(mask, classes).tolist()


def test_nothing_is_no_row() -> None:
    empty = np.zeros((2, 3, 4), np.int32)
    assert objects_in_volume(empty, empty - 1).shape == (0, 9)


def test_a_stray_voxel_does_not_move_a_box() -> None:
    mask = np.zeros((9, 20, 20), np.int32)
    mask[2:5, 3:9, 4:8] = 30
    mask[8, 19, 19] = 30
    mask[5, 9, 8] = 30  # touches at a corner
    assert objects_in_volume(mask, mask).tolist() == [[30, 30, 2, 3, 4, 6, 10, 9, 3 * 6 * 4 + 2]]


def ellipsoid(radii: tuple[float, float, float]) -> np.ndarray:
    sides = [round(radius) + 2 for radius in radii]
    grids = np.ogrid[tuple(slice(-side, side + 1) for side in sides)]
    inside = sum((grid / radius) ** 2 for grid, radius in zip(grids, radii, strict=True)) <= 1
    return inside.astype(np.uint8)


def write(root, masks, axes="ZYX"):
    for name, mask in masks.items():
        for part, array in (("images", (mask > 0).astype(np.uint8)), ("masks", mask)):
            (root / "train" / part).mkdir(parents=True, exist_ok=True)
            path = root / "train" / part / f"{name}.tif"
            tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})
    return open_data(root, holdout=0)


@pytest.mark.parametrize(
    ("radii", "expected"),
    [((12, 12, 12), 24), ((5, 14, 14), 28), ((20, 9, 9), 18), ((8, 10, 16), 2 * 160**0.5)],
)
def test_the_diameter_is_that_in_the_widest_plane(tmp_path, radii, expected) -> None:
    index = build_object_index(write(tmp_path, {"a": ellipsoid(radii)}))
    assert index.dims == 3
    assert index.diameter.tolist() == [pytest.approx(expected, rel=0.06)]


@pytest.mark.parametrize("step", [2, 3])
def test_objects_of_which_few_planes_are_labelled_are_measured_as_whole(tmp_path, step) -> None:
    """With every second plane they were twice as wide, as each plane was a part of its own."""
    whole = np.zeros((40, 90, 90), np.uint8)
    part = ellipsoid((9, 12, 14))
    for label, (z, x) in enumerate(((2, 3), (10, 40)), 1):
        depth, height, width = part.shape
        whole[z : z + depth, 20 : 20 + height, x : x + width] = label * part
    few = whole.copy()
    few[np.arange(len(few)) % step > 0] = 0
    unknown = np.zeros(whole.shape, np.uint8)
    unknown[np.arange(len(few)) % step > 0] = 1
    write(tmp_path / "few", {"a": few})
    (tmp_path / "few" / "train" / "ignore").mkdir()
    tifffile.imwrite(tmp_path / "few" / "train" / "ignore" / "a.tif", unknown)
    first = build_object_index(write(tmp_path / "whole", {"a": whole}))
    other = build_object_index(open_data(tmp_path / "few", holdout=0))
    assert other.diameter == pytest.approx(first.diameter, rel=0.1)
    assert other.area == pytest.approx(first.area, rel=0.15)
    assert abs(other.box - first.box).max() < step


MASK = np.zeros((4, 5, 6), np.uint16)
MASK[1:3, 2:4, :2] = 900
MASK[3, 4, 5] = 7


def test_the_index_of_volumes(tmp_path) -> None:
    data = write(tmp_path, {"a": MASK, "b": MASK[:2, :3] * 0, "c": MASK[::-1].copy()})
    index = build_object_index(data)
    assert index.dims == data.dims == 3
    assert index.image.tolist() == [0, 0, 2, 2]
    assert index.label.tolist() == [7, 900, 7, 900]
    assert index.area.tolist() == [1, 8, 1, 8]
    assert index.box[:2].tolist() == [[3, 4, 5, 4, 5, 6], [1, 2, 0, 3, 4, 2]]
    assert index.box[2:].tolist() == [[0, 4, 5, 1, 5, 6], [1, 2, 0, 3, 4, 2]]
    assert index.image_size.tolist() == [[4, 5, 6], [2, 3, 6], [4, 5, 6]]
    assert index.channels.tolist() == [1, 1, 1]
    assert index.empty.tolist() == [1]
    assert len(index.without_specks()) == 4


def test_the_index_is_kept_on_disk(tmp_path, read) -> None:
    data = write(tmp_path, {"a": MASK, "b": MASK[:, ::-1].copy()})
    first = object_index(data)
    assert same(first, build_object_index(data))
    read.clear()
    assert same(object_index(open_data(tmp_path, holdout=0)), first)
    assert read == []
    changed = write(tmp_path, {"b": MASK[:, :, ::-1].copy(), "c": MASK})
    assert same(object_index(changed), build_object_index(changed))
    assert sorted(read[:2]) == ["b", "c"]


def test_a_cache_of_images_is_not_one_of_volumes(tmp_path, read) -> None:
    data = write(tmp_path, {"a": MASK[0] + 1, "b": MASK[1]}, axes="YX")
    assert object_index(data).dims == 2
    volumes = write(tmp_path, {"a": MASK, "b": MASK})
    assert same(object_index(volumes), build_object_index(volumes))
    read.clear()
    assert object_index(volumes).dims == 3
    assert read == []


def test_volumes_beyond_what_is_decoded_are_indexed_too(tmp_path, monkeypatch) -> None:
    data = write(tmp_path, {"a": MASK, "b": MASK, "c": MASK})
    expected = build_object_index(data)
    monkeypatch.setattr(index_module, "DECODED", MASK.size)
    assert same(build_object_index(data), expected)


def test_no_object_in_any_volume_is_said(tmp_path) -> None:
    with pytest.raises(UserError, match="no object in the 2 train volumes"):
        build_object_index(write(tmp_path, {"a": MASK * 0, "b": MASK * 0}))


def test_each_slab_of_a_volume_keeps_an_index_of_its_own(tmp_path) -> None:
    mask = np.zeros((3, 10, 20), np.uint8)
    mask[:, 2:5, 1:4] = 1
    mask[:, 2:5, 17:20] = 2
    write(tmp_path, {"a": mask})
    train, val = (open_data(tmp_path, split, holdout=0.5) for split in ("train", "val"))
    for _ in range(2):
        assert object_index(train).label.tolist() == [1]
        assert object_index(val).label.tolist() == [2]
        assert object_index(val).box.tolist() == [[0, 2, 13, 3, 5, 16]]
    other = open_data(tmp_path, "train", holdout=0)
    assert object_index(other).label.tolist() == [1, 2]

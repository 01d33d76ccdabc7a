"""Crops of volumes against loops over their voxels."""

import math
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Crop, Cropper
from spatialembed.data.crops.decoded import Normalize
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.index import build_object_index
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError

FULL = Augmentation(scale=(0.6, 1.7), brightness=0.2, contrast=0.4, gamma=0.5, noise=0.1, blur=1.5)
PLAIN = Augmentation(flip=False, turn=False)
PLACED = Augmentation()
"""Flips and turns alone: every voxel of a crop is one of the volume."""


def to_float(_: WindowedImage) -> Normalize:
    return lambda pixels: pixels.astype(np.float32)


class Volumes:
    """Volumes in memory."""

    class_names = ("cell",)
    split = "train"

    def __init__(self, *samples: Sample) -> None:
        self.samples = samples
        self.names = [sample.name for sample in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        return self.samples[i]

    def files(self, i: int) -> tuple[Path, ...]:
        return ()


def sample(mask: np.ndarray, image: np.ndarray | None = None, name: str = "a") -> Sample:
    """Of a label mask (Z, H, W); its image is the mask where none is given."""
    mask = mask.astype(np.int32)
    classes = np.where(mask > 0, 0, -1).astype(np.int16)
    image = mask[..., None].astype(np.uint16) if image is None else image
    return Sample(name, image, mask, classes, mask % 3 == 1)


def numbered(shape: tuple[int, int, int], channels: int = 1) -> Sample:
    """Every voxel is an object; its id says which one, and so does its image, otherwise."""
    mask = np.arange(1, math.prod(shape) + 1).reshape(shape)
    image = np.stack([mask * 7 % (251 - k) + 1 for k in range(channels)], -1)
    return sample(mask, image.astype(np.uint8))


def cropper(data: Volumes, size: int = 8, depth: int = 4, **options) -> Cropper:
    return Cropper(data, to_float, size, build_object_index(data), depth=depth, **options)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 12)] * 3),
    st.sampled_from([1, 3]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.sampled_from([0.0, 1.0]),
)
def test_every_voxel_of_a_crop_is_one_of_the_volume(
    shape, channels, depth, size, number, share
) -> None:
    data = Volumes(numbered(shape, channels))
    draw = cropper(data, size, depth, augmentation=PLACED, background_share=share)
    crop = draw.draw(number)
    assert crop.image.shape == (channels, depth, size, size)
    assert crop.label_mask.shape == crop.class_map.shape == crop.ignore.shape == (depth, size, size)
    assert [t.dtype for t in crop[:4]] == [torch.float32, torch.int32, torch.int64, torch.bool]
    assert all(t.is_contiguous() for t in crop[:4])
    mask, whole = crop.label_mask.numpy(), data.samples[0]
    inside = mask > 0
    voxels = whole.image.reshape(-1, channels)[mask - 1]
    np.testing.assert_array_equal(crop.image[:, inside].numpy().T, voxels[inside])
    np.testing.assert_array_equal(crop.ignore, np.where(inside, mask % 3 == 1, True))
    np.testing.assert_array_equal(crop.class_map, np.where(inside, 0, -1))
    assert not crop.image[:, ~inside].any()
    # Each is there once, and as much of the volume as fits.
    wanted = math.prod(min(a, b) for a, b in zip((depth, size, size), shape, strict=True))
    assert len(np.unique(mask[inside])) == inside.sum() == wanted
    steps = np.unique(np.diff(np.where(inside.any((1, 2)))[0]))
    assert steps.tolist() in ([], [1])


def same(a: Crop, b: Crop) -> bool:
    return all(
        x.numpy().tobytes() == y.numpy().tobytes() for x, y in zip(a[:4], b[:4], strict=True)
    )


def blobs(shape: tuple[int, int, int], seed: int, name: str = "a") -> Sample:
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.int32)
    for k in range(5):
        z, y, x = (rng.integers(n) for n in shape)
        mask[z : z + 2, y : y + 4, x : x + 3] = 10 * k + 3
    return sample(mask, rng.integers(0, 256, (*shape, 2)).astype(np.uint8), name)


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(8)), st.integers(0, 2**64 - 1))
def test_a_crop_depends_on_seed_and_number_alone(order, seed) -> None:
    data = Volumes(blobs((6, 20, 30), 0), blobs((3, 9, 9), 1, "b"), blobs((1, 40, 12), 2, "c"))
    first = cropper(data, seed=seed, augmentation=FULL, background_share=0.3)
    other = pickle.loads(pickle.dumps(first))
    visited = cropper(data, seed=seed, augmentation=FULL, cache_bytes=0)
    expected = [first.draw(number) for number in range(8)]
    visits = [visited.draw(number) for number in range(8)]
    for number in order:
        assert same(other.draw(number), expected[number])
        assert same(visited.draw(number), visits[number])
    assert not all(same(a, b) for a, b in pairwise(expected))
    assert all(crop.image.isfinite().all() for crop in expected + visits)


@pytest.mark.parametrize("augmentation", [PLAIN, PLACED, replace(FULL, scale=(1.0, 1.7))])
@pytest.mark.parametrize("corner", [(0, 0, 0), (5, 14, 20), (9, 27, 36)])
def test_an_objects_crop_shows_its_middle(augmentation, corner) -> None:
    mask = np.zeros((12, 30, 40), np.int32)
    z, y, x = corner
    mask[z : z + 3, y : y + 3, x : x + 4] = 1
    mask[z + 1, y + 1, x + 1 : x + 3] = 2  # whose middle it is
    data = Volumes(sample(np.where(mask == 2, 70_000, mask)))
    index = build_object_index(data)
    assert index.label.tolist() == [1, 70_000]
    draw = Cropper(data, to_float, 8, index, augmentation=augmentation, depth=4)
    for number in range(40):
        assert (draw.draw(number).label_mask == 70_000).any()


def test_every_object_gets_its_crops() -> None:
    mask = np.zeros((20, 60, 60), np.int32)
    places = {5: (2, 5, 5), 8: (17, 5, 50), 900: (10, 50, 20)}
    for label, (z, y, x) in places.items():
        mask[z - 1 : z + 2, y - 2 : y + 3, x - 2 : x + 3] = label
    draw = cropper(Volumes(sample(mask)), 16, 8)
    shown = [np.unique(draw.draw(n).label_mask.numpy()) for n in range(90)]
    assert all(len(ids) == 2 for ids in shown)
    counts = {label: sum(label in ids for ids in shown) for label in places}
    assert min(counts.values()) > 15


@pytest.mark.parametrize(("zoom", "sides"), [(2.0, (3, 8, 12)), (0.5, (3, 2, 3)), (1.0, (3, 4, 6))])
def test_zoom_is_of_planes_alone(zoom, sides) -> None:
    mask = np.zeros((21, 80, 80), np.int32)
    mask[9:12, 38:42, 37:43] = 7
    image = np.broadcast_to(np.arange(1, 22)[:, None, None, None], (*mask.shape, 1))
    data = Volumes(sample(mask, image.astype(np.uint8)))
    crop = cropper(data, 32, 8, zoom=zoom, augmentation=PLAIN).draw(3)
    found = np.argwhere(crop.label_mask.numpy() == 7)
    assert tuple(np.ptp(found, axis=0) + 1) == sides
    planes = crop.image[0].numpy()
    assert (np.ptp(planes, axis=(1, 2)) < 1e-3).all()  # no plane is mixed with another
    np.testing.assert_allclose(np.diff(planes[:, 0, 0]), 1, atol=1e-3)
    assert planes[found[:, 0].min(), 0, 0] == pytest.approx(10, abs=1e-3)


def test_planes_are_reversed_in_half_of_the_crops() -> None:
    image = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None, None], (8, 9, 9, 1))
    data = Volumes(sample(np.ones((8, 9, 9)), image))
    draw = cropper(data, 9, 8, augmentation=PLACED)
    ways = [float(draw.draw(n).image[0, 0, 0, 0]) for n in range(60)]
    assert set(ways) == {0.0, 7.0}
    assert 15 < ways.count(7.0) < 45
    draw = cropper(data, 9, 8, augmentation=Augmentation(flip=False))
    assert {float(draw.draw(n).image[0, 0, 0, 0]) for n in range(20)} == {0.0}


@pytest.mark.parametrize("options", [{"size": 0}, {"depth": 0}, {"zoom": -1.0}])
def test_values_out_of_range_are_refused(options) -> None:
    with pytest.raises(UserError):
        cropper(Volumes(numbered((2, 3, 4))), **options)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_volumes_without_an_object_are_background(share) -> None:
    data = Volumes(blobs((4, 12, 12), 0), sample(np.zeros((5, 12, 12)), name="empty"))
    draw = cropper(data, background_share=share)
    names = {draw.draw(n).name for n in range(40)}
    assert names == ({"a"} if share == 0 else {"a", "empty"})

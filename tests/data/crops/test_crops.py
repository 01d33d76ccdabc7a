import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.batches import Batch, CropDataset, collate
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.crops.decoded import Normalize
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.index import build_object_index
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError

FULL = Augmentation(scale=(0.6, 1.7), brightness=0.2, contrast=0.4, gamma=0.5, noise=0.1, blur=1.5)
PLAIN = Augmentation(flip=False, turn=False)
BIG = 2**24  # from here on, float32 cannot tell neighbouring ids apart


class Squares:
    """Images with squares of known place; counts how often an image is read."""

    class_names = ("square", "other")
    split = "train"

    def __init__(self, sizes: list[tuple[int, int]], channels: int = 2, objects: int = 6) -> None:
        self.samples = [self.make(i, *size, channels, objects) for i, size in enumerate(sizes)]
        self.reads = 0

    @staticmethod
    def make(i: int, height: int, width: int, channels: int, objects: int) -> Sample:
        rng = np.random.default_rng(i)
        label_mask = np.zeros((height, width), np.int32)
        class_map = np.full((height, width), -1, np.int16)
        for k in range(objects):
            y, x = rng.integers(height), rng.integers(width)
            label_mask[y : y + 5, x : x + 4] = BIG + k
            class_map[y : y + 5, x : x + 4] = k % 2
        image = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
        ignore = rng.random((height, width)) < 0.1
        return Sample(f"image{i}", image, label_mask, class_map, ignore)

    @property
    def names(self) -> list[str]:
        return [sample.name for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        self.reads += 1
        return self.samples[i]

    def files(self, i: int) -> tuple[Path, ...]:
        return ()


def to_unit(_: WindowedImage) -> Normalize:
    return lambda pixels: pixels.astype(np.float32) / np.float32(255)


def cropper(data: Squares, size: int = 16, **options) -> Cropper:
    return Cropper(data, to_unit, size, build_object_index(data), **options)


def same(a, b) -> bool:
    return a[4] == b[4] and all(
        x.dtype == y.dtype and x.numpy().tobytes() == y.numpy().tobytes()
        for x, y in zip(a[:4], b[:4], strict=True)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"background_share": 1.5},
        {"background_share": float("nan")},
        {"seed": -1},
        {"cache_bytes": -1},
    ],
)
def test_values_out_of_range_are_refused(options):
    with pytest.raises(UserError):
        cropper(Squares([(8, 8)]), **options)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(1, 4), st.integers(1, 40), st.integers(0, 2)
)
def test_any_image_and_crop_size_gives_whole_crops(height, width, channels, size, number):
    data = Squares([(height, width)], channels)
    crop = cropper(data, size, background_share=0.3, augmentation=FULL, seed=2**63).draw(number)
    assert crop.image.shape == (channels, size, size)
    assert crop.label_mask.shape == crop.class_map.shape == crop.ignore.shape == (size, size)
    assert [t.dtype for t in crop[:4]] == [torch.float32, torch.int32, torch.int64, torch.bool]
    assert crop.image.isfinite().all()
    assert all(t.is_contiguous() for t in crop[:4])
    torch.testing.assert_close(crop.class_map >= 0, crop.label_mask > 0)
    assert set(crop.label_mask.unique().tolist()) <= {0, *np.unique(data.samples[0].label_mask)}


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(12)), st.integers(0, 2**64 - 1))
def test_a_crop_depends_on_seed_and_number_alone(order, seed):
    sizes = [(40, 50), (20, 70), (10, 10)]
    first = cropper(Squares(sizes), seed=seed, augmentation=FULL, background_share=0.3)
    small = cropper(Squares(sizes), seed=seed, augmentation=FULL, background_share=0.3)
    small.share_cache(10**12)
    expected = [first.draw(number) for number in range(12)]
    for number in order:
        assert same(small.draw(number), expected[number])
    other = cropper(Squares(sizes), seed=seed ^ 1, augmentation=FULL)
    assert not all(same(other.draw(number), expected[number]) for number in range(12))


def test_workers_pickling_and_threads_change_no_byte():
    drawn = cropper(Squares([(40, 50), (90, 70)]), 33, seed=7, augmentation=FULL)
    data = CropDataset(drawn, first=5, count=10)
    expected = [drawn.draw(5 + i) for i in range(10)]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        copy = pickle.loads(pickle.dumps(drawn))
        assert all(same(copy.draw(5 + i), crop) for i, crop in enumerate(expected))
    finally:
        torch.set_num_threads(threads)
    for workers in (0, 1, 2):
        batches = list(DataLoader(data, 4, num_workers=workers, collate_fn=collate))
        assert [len(batch.names) for batch in batches] == [4, 4, 2]
        for i, batch in enumerate(batches):
            assert isinstance(batch, Batch)
            assert same(batch, collate(expected[4 * i : 4 * i + 4]))


def test_a_crop_dataset_ends():
    data = CropDataset(cropper(Squares([(9, 9)]), 4), 3, 2)
    assert len(list(data)) == len(data) == 2
    with pytest.raises(IndexError):
        data[2]


def test_without_augmentation_a_crop_is_a_slice_of_the_image():
    data = Squares([(40, 50)])
    sample = data.samples[0]
    coordinates = np.arange(40 * 50, dtype=np.int32).reshape(40, 50)
    object.__setattr__(sample, "image", np.concatenate([sample.image, coordinates[..., None]], 2))
    drawn = Cropper(
        data,
        lambda _: lambda pixels: pixels.astype(np.float32),
        16,
        build_object_index(data),
        augmentation=PLAIN,
    )
    seen = set()
    for number in range(30):
        crop = drawn.draw(number)
        y, x = divmod(int(crop.image[-1, 0, 0]), 50)
        seen.add((y, x))
        part = (slice(y, y + 16), slice(x, x + 16))
        np.testing.assert_array_equal(crop.image.permute(1, 2, 0), sample.image[part])
        np.testing.assert_array_equal(crop.label_mask, sample.label_mask[part])
        np.testing.assert_array_equal(crop.class_map, sample.class_map[part])
        np.testing.assert_array_equal(crop.ignore, sample.ignore[part])
    assert len(seen) > 15


@pytest.mark.parametrize("augmentation", [PLAIN, FULL])
def test_the_mirrored_id_trap(augmentation):
    """Outside of the image there is nothing: no second copy of an object, and no loss."""
    label_mask = np.zeros((30, 34), np.int32)
    label_mask[0:12, 2:14] = 9  # at the border, where a reflection would double it
    sample = Sample(
        "small",
        np.full((30, 34, 1), 200, np.uint8),
        label_mask,
        (label_mask > 0).astype(np.int16) - np.int16(1),
        np.zeros((30, 34), bool),
    )
    data = Squares([])
    data.samples = [sample]
    drawn = cropper(data, 90, augmentation=augmentation, seed=1)
    for number in range(20):
        crop = drawn.draw(number)
        outside = crop.ignore.numpy()
        inside = np.argwhere(~outside)
        height, width = inside.max(0) - inside.min(0) + 1
        assert (~outside).sum() == height * width < 90 * 90
        assert not crop.image.numpy()[:, outside].any()
        assert not crop.label_mask.numpy()[outside].any()
        assert (crop.class_map.numpy()[outside] == -1).all()
        area = (crop.label_mask.numpy() == 9).sum()
        assert area == pytest.approx(height * width * 144 / (30 * 34), rel=0.3)


def test_large_ids_survive_every_augmentation():
    drawn = cropper(Squares([(60, 60)], objects=40), 48, augmentation=FULL)
    found = set()
    for number in range(30):
        found |= set(drawn.draw(number).label_mask.unique().tolist())
    assert found - {0} == set(drawn.index.label.tolist())
    assert max(found) > BIG + 30


def test_image_and_mask_stay_together_under_every_augmentation():
    """A mask drawn as an image warps alike, up to what bilinear blending moves an edge."""
    label_mask = np.zeros((90, 100), np.int32)
    label_mask[20:50, 30:70] = 3
    label_mask[45:70, 30:42] = 3
    sample = Sample(
        "drawn",
        (label_mask > 0).astype(np.float32)[..., None],
        label_mask,
        (label_mask > 0).astype(np.int16) - np.int16(1),
        np.zeros((90, 100), bool),
    )
    data = Squares([])
    data.samples = [sample]
    warps = Augmentation(scale=(0.6, 1.7))
    drawn = Cropper(
        data, lambda _: lambda pixels: pixels, 64, build_object_index(data), augmentation=warps
    )
    for number in range(40):
        crop = drawn.draw(number)
        mask = crop.label_mask.numpy() > 0
        drawn_mask = crop.image[0].numpy() > 0.5
        assert (mask & drawn_mask).sum() / (mask | drawn_mask).sum() > 0.97


def test_zoom_enlarges_what_is_drawn():
    data = Squares([(60, 80)])
    index = build_object_index(data)
    seen = {
        zoom: Cropper(data, to_unit, 256, index, zoom=zoom).draw(0).label_mask.numpy()
        for zoom in (1.0, 2.0)
    }
    assert (seen[2.0] > 0).sum() == pytest.approx(4 * (seen[1.0] > 0).sum(), rel=0.1)


def test_a_crop_is_a_copy():
    drawn = cropper(Squares([(20, 20)]), 20, augmentation=PLAIN)
    first = drawn.draw(0)
    before = [t.clone() for t in first[:4]]
    for tensor in first[:4]:
        tensor.zero_()
    assert all(torch.equal(a, b) for a, b in zip(drawn.draw(0)[:4], before, strict=True))

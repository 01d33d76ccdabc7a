from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data.crops.stored import cut, store_crops
from spatialembed.data.index import build_object_index
from spatialembed.data.open import open_data
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError


class Memory:
    """A data set that is given, not read."""

    split = "train"

    def __init__(self, samples: list[Sample], class_names: tuple[str, ...]) -> None:
        self.samples, self.class_names = samples, class_names

    @property
    def names(self) -> list[str]:
        return [sample.name for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        return self.samples[i]

    def files(self, i: int) -> tuple[Path, ...]:
        return ()


def sample(name="a", shape=(40, 50), channels=3, dtype=np.uint8, classes=1, ignore=False) -> Sample:
    rng = np.random.default_rng(0)
    label_mask = np.zeros(shape, np.int32)
    class_map = np.full(shape, -1, np.int16)
    for k, (y, x) in enumerate([(2, 2), (10, 30), (30, 45), (20, 20)]):
        label_mask[y : y + 6, x : x + 7] = 70_000 + k
        class_map[y : y + 6, x : x + 7] = k % classes
    ignored = np.zeros(shape, bool)
    if ignore:
        ignored[8:12, :] = True
    image = (rng.random((*shape, channels)) * 250).astype(dtype)
    return Sample(name, image, label_mask, class_map, ignored)


def store(out: Path, samples: list[Sample], names=("nucleus",), size=16) -> int:
    data = Memory(samples, names)
    return store_crops(data, build_object_index(data), out, size)


def test_a_cut_is_centered_and_stays_inside():
    one = sample()
    inner = cut(one, (20, 20, 26, 27), 16)
    np.testing.assert_array_equal(inner.image, one.image[15:31, 15:31])
    np.testing.assert_array_equal(cut(one, (2, 2, 8, 9), 16).label_mask, one.label_mask[:16, :16])
    np.testing.assert_array_equal(cut(one, (30, 45, 36, 50), 16).ignore, one.ignore[24:40, 34:50])
    assert cut(one, (2, 2, 8, 9), 45).image.shape == (40, 45, 3)


@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, np.uint8), (3, np.uint8), (1, np.uint16), (2, np.uint16), (5, np.float32)],
)
def test_label_folders_come_back_as_they_were_cut(tmp_path, channels, dtype):
    one = sample(channels=channels, dtype=dtype)
    assert store(tmp_path, [one]) == 4
    data = open_data(tmp_path, holdout=0)
    assert data.names == [f"a_07000{k}" for k in range(4)]
    index = build_object_index(Memory([one], ("nucleus",)))
    for found, box in zip(data, index.box, strict=True):
        expected = cut(one, box, 16)
        np.testing.assert_array_equal(found.image, expected.image)
        assert found.image.dtype == dtype
        np.testing.assert_array_equal(found.label_mask, expected.label_mask)
        np.testing.assert_array_equal(found.class_map, expected.class_map)


@pytest.mark.parametrize("channels", [1, 3])
def test_cityscapes_keeps_classes_and_ignored_regions(tmp_path, channels):
    one = sample(channels=channels, classes=2, ignore=True)
    names = ("car", "person")
    store(tmp_path, [one], names, size=24)
    data = open_data(tmp_path, class_names=names, holdout=0)
    index = build_object_index(Memory([one], names))
    assert len(data) == 4
    for found, box in zip(data, index.box, strict=True):
        expected = cut(one, box, 24)
        np.testing.assert_array_equal(found.image, expected.image)
        np.testing.assert_array_equal(found.ignore, expected.ignore)
        seen = ~expected.ignore
        np.testing.assert_array_equal(found.class_map[seen], expected.class_map[seen])
        pairs = np.unique(np.stack([found.label_mask[seen], expected.label_mask[seen]]), axis=1)
        assert len(set(pairs[0])) == len(set(pairs[1])) == pairs.shape[1]


def test_label_folders_keep_ignored_regions(tmp_path):
    one = sample(ignore=True)
    store(tmp_path, [one])
    data = open_data(tmp_path, holdout=0)
    index = build_object_index(Memory([one], ("nucleus",)))
    kept = {data.names[i]: data[i].ignore for i in range(len(data))}
    assert any(ignore.any() for ignore in kept.values())
    for label, box in zip(index.label.tolist(), index.box.tolist(), strict=True):
        np.testing.assert_array_equal(kept[f"a_{label:06d}"], cut(one, box, 16).ignore)


def test_splits_join_one_folder_and_are_never_mixed(tmp_path):
    store(tmp_path / "out", [sample()])
    data = Memory([sample("b")], ("nucleus",))
    data.split = "val"
    store_crops(data, build_object_index(data), tmp_path / "out", 16)
    assert len(open_data(tmp_path / "out", "val")) == len(open_data(tmp_path / "out")) == 4
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="exists already"):
        store(tmp_path / "out", [sample("c")])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("samples", "names", "size", "message"),
    [
        ([sample()], ("nucleus",), 0, "at least 1"),
        ([sample(classes=2)], ("nucleus", "car"), 16, "fit no layout"),
        ([sample(channels=2)], ("car",), 16, "8-bit grey or RGB"),
        ([sample(dtype=np.uint16)], ("car",), 16, "8-bit grey or RGB"),
    ],
)
def test_what_no_layout_holds_is_refused_and_nothing_stays(tmp_path, samples, names, size, message):
    with pytest.raises(UserError, match=message):
        store(tmp_path, samples, names, size)
    assert list(tmp_path.rglob("*")) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    monkeypatch.setattr(Image.Image, "save", full)
    for names in (("nucleus",), ("car",)):
        with pytest.raises(UserError, match="No space left on device"):
            store(tmp_path, [sample()], names)
    assert list(tmp_path.rglob("*")) == []

"""Several sets as one: each sample is the one it was, and no set drowns the others."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.index import object_index
from spatialembed.data.mixture import mixed, set_numbers, sets_of
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.models.normalization import Normalization
from spatialembed.training.config import TrainConfig
from spatialembed.training.open_sets import open_sets
from spatialembed.training.prepare import gather


def write(root: Path, images: int, objects: int, channels: int = 1, side: int = 8) -> Path:
    """A label folder of images with squares of ``side`` in rows."""
    for i in range(images):
        mask = np.zeros((64, 64), np.uint16)
        for k in range(objects):
            y, x = divmod(k, 6)
            mask[10 * y + 1 : 10 * y + 1 + side, 10 * x + 1 : 10 * x + 1 + side] = k + 1
        image = np.where(mask > 0, 200, 20 + i).astype(np.uint8)
        image = image if channels == 1 else np.stack([image] * channels, -1)
        for part, array in (("images", image), ("masks", mask)):
            folder = root / "train" / part
            folder.mkdir(parents=True, exist_ok=True)
            kind = "rgb" if array.ndim == 3 and channels == 3 else "minisblack"
            tifffile.imwrite(folder / f"i{i}.tif", array, photometric=kind)
    return root


@pytest.fixture
def three(tmp_path):
    roots = [
        write(tmp_path / "a", 3, 16),
        write(tmp_path / "b" / "cells", 2, 4, channels=3),
        write(tmp_path / "cells", 1, 1),
    ]
    return [open_data(root, "train", holdout=0) for root in roots]


def test_samples_files_and_truth_are_those_of_the_sets(three):
    data = mixed(three)
    assert data.names == ["a-i0", "a-i1", "a-i2", "cells-2-i0", "cells-2-i1", "cells-3-i0"]
    flat = [(one, i) for one in three for i in range(len(one))]
    for k, (one, i) in enumerate(flat):
        assert data[k].name == data.names[k]
        np.testing.assert_array_equal(data[k].image, one[i].image)
        np.testing.assert_array_equal(data.truth(k).label_mask, one.truth(i).label_mask)
        assert data.files(k) == one.files(i)
        assert data.items[k].image.samefile(one.items[i].image)
    assert set_numbers(data).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_choice_by_name_is_one_of_the_sets_too(three):
    data = mixed(three).only({"a-i1", "cells-3-i0"})
    assert [len(one) for one in sets_of(data)] == [1, 0, 1]
    assert data[0].image[0, 0, 0] == 21
    assert data.truth(1).label_mask.max() == 1


def test_one_set_is_itself(three):
    assert mixed(three[:1]) is three[0]
    assert sets_of(three[0]) == (three[0],)


def test_the_index_is_that_of_each_set_with_images_counted_on(three):
    whole, apart = object_index(mixed(three)), [object_index(one) for one in three]
    assert len(whole) == sum(map(len, apart)) == 3 * 16 + 2 * 4 + 1
    assert np.bincount(whole.image).tolist() == [16, 16, 16, 4, 4, 1]
    np.testing.assert_array_equal(whole.box, np.concatenate([one.box for one in apart]))
    assert whole.channels.tolist() == [1, 1, 1, 3, 3, 1]


def test_sets_of_other_classes_are_refused(three, tmp_path):
    other = open_data(write(tmp_path / "c", 1, 1), "train", ["nucleus"], holdout=0)
    with pytest.raises(UserError, match="classes"):
        mixed([*three, other])


def drawn(data, count=600, **options):
    index = object_index(data)
    normalization = Normalization("percentile")
    cropper = Cropper(
        data, lambda image: normalization.fixed(image), 16, index,
        augmentation=Augmentation(flip=False, turn=False), **options,
    )  # fmt: skip
    return [cropper.draw(i) for i in range(count)]


def test_sets_get_crops_by_the_fourth_root_of_their_objects(three):
    pair = mixed([three[0], three[2]])  # 48 objects and 1
    names = [crop.name for crop in drawn(pair, sets=(0, 3))]
    share = np.mean([name == "cells-i0" for name in names])
    assert share == pytest.approx(1 / (1 + 48**0.25), abs=0.03)
    plain = [crop.name for crop in drawn(pair)]
    assert np.mean([name == "cells-i0" for name in plain]) == pytest.approx(1 / 49, abs=0.015)


def test_every_object_of_a_set_is_as_likely(three):
    pair = mixed([three[0], three[1]])
    names = [crop.name for crop in drawn(pair, 900, sets=(0, 3))]
    counts = [names.count(f"a-i{i}") for i in range(3)]
    assert min(counts) > 0.8 * max(counts)


def test_each_image_has_a_zoom_of_its_own(three):
    pair = mixed([three[0], three[2]])
    crops = drawn(pair, 40, sets=(0, 3), zoom=np.array([1.0, 1.0, 1.0, 2.0]))
    areas = {"a": set(), "cells": set()}
    for crop in crops:
        ids, counts = np.unique(crop.label_mask, return_counts=True)
        areas[crop.name.partition("-")[0]].add(int(counts[ids > 0].max()))
    assert max(areas["a"]) == 64
    assert max(areas["cells"]) > 150  # a square of 16, of which a crop of 16 shows the most


def test_a_folder_named_twice_is_refused(tmp_path):
    root = write(tmp_path / "a", 3, 4)
    with pytest.raises(UserError, match=rf"^{root} is named twice among the data"):
        open_sets(TrainConfig(data=root, also=[root / ".." / "a"]), None)


def test_sets_of_like_objects_are_shown_at_one_size_too(tmp_path):
    """Two folders whose objects are equally wide: the model still has to be told of sizes."""
    roots = [write(tmp_path / name, 4, 9) for name in ("a", "b")]
    config = TrainConfig(
        data=roots[0],
        also=roots[1:],
        network="residual_unet",
        diameter=20,
        normalization="percentile",
    )
    material = gather(config)
    assert material.spec.finds_size
    assert np.ptp(material.ratios) == 0
    assert material.spec.zoom * material.ratios[0] * 8 * (4 / np.pi) ** 0.5 == pytest.approx(
        20, rel=0.02
    )

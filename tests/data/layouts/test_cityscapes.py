"""The Cityscapes layout: objects, groups, void, classes; files matched by name."""

import numpy as np
import pytest
from PIL import Image

from spatialembed.data import open_data
from spatialembed.data.layouts.cityscapes import LABEL_IDS, THINGS
from spatialembed.errors import UserError

IDS = np.array(
    [
        [7, 26001, 26001, 26002, 26],
        [7, 24001, 24, 25001, 0],
        [1, 3, 33000, 33, 26300],
        [4, 29001, 30, 23, 28000],
    ],
    np.uint16,
)


def write(root, split="train", city="ulm", names=("000001", "000002"), suffix=".png", ids=IDS):
    images, truth = root / "leftImg8bit" / split / city, root / "gtFine" / split / city
    for folder in (images, truth):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        picture = Image.fromarray(np.repeat((ids % 251).astype(np.uint8)[..., None], 3, 2))
        picture.save(images / f"{city}_{name}_leftImg8bit{suffix}")
        Image.fromarray(ids).save(truth / f"{city}_{name}_gtFine_instanceIds.png")
        Image.fromarray(np.zeros_like(ids, np.uint8)).save(
            truth / f"{city}_{name}_gtFine_labelIds.png"
        )
    return root


def naive(ids, class_names):
    label, classes, ignore = np.zeros(ids.shape, int), np.full(ids.shape, -1), np.zeros(ids.shape)
    trained = {LABEL_IDS[name]: k for k, name in enumerate(class_names)}
    for y, x in np.ndindex(ids.shape):
        i = int(ids[y, x])
        kind = i // 1000 if i >= 1000 else i
        if i >= 1000 and kind in trained:
            label[y, x], classes[y, x] = i, trained[kind]
        ignore[y, x] = i < 7 or kind in (29, 30) or (i < 1000 and kind in trained)
    return label, classes, ignore.astype(bool)


@pytest.mark.parametrize("classes", [None, ("person", "car"), ("bicycle",), THINGS])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truth(tmp_path, classes, suffix):
    sample = open_data(write(tmp_path, suffix=suffix), class_names=classes)[0]
    label, class_map, ignore = naive(IDS, classes or ("car",))
    assert sample.image.shape == (4, 5, 3)
    np.testing.assert_array_equal(sample.label_mask, label)
    np.testing.assert_array_equal(sample.class_map, class_map)
    np.testing.assert_array_equal(sample.ignore, ignore)


def test_names_and_splits(tmp_path):
    write(write(write(tmp_path), city="bonn"), "val", "köln", ["9_1"])
    data = open_data(tmp_path)
    assert data.names == ["bonn_000001", "bonn_000002", "ulm_000001", "ulm_000002"]
    assert open_data(tmp_path, "val").names == ["köln_9_1"]
    with pytest.raises(UserError, match="has no test split"):
        open_data(tmp_path, "test")


def test_val_is_held_out_where_there_is_none(tmp_path):
    write(tmp_path, names=[f"{i:06d}" for i in range(20)])
    train, val = open_data(tmp_path), open_data(tmp_path, "val")
    assert (len(train), len(val)) == (17, 3)
    assert not set(train.names) & set(val.names)


def test_a_class_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"no class 'cars'.*person, rider, car, truck"):
        open_data(write(tmp_path), class_names=["cars"])
    with pytest.raises(UserError, match="no class 'caravan'"):
        open_data(tmp_path, class_names=["car", "caravan"])


def test_missing_and_misnamed_mask(tmp_path):
    truth = write(tmp_path) / "gtFine" / "train" / "ulm"
    file = truth / "ulm_000002_gtFine_instanceIds.png"
    moved = file.rename(truth / "ulm_00002_gtFine_instanceIds.png")
    with pytest.raises(UserError, match=r"ulm_000002_leftImg8bit\.png: has no mask; expected"):
        open_data(tmp_path)
    moved.unlink()
    with pytest.raises(UserError, match=r"ulm_000002_leftImg8bit\.png: has no mask; expected"):
        open_data(tmp_path)


def test_misnamed_image_and_empty_split(tmp_path):
    images = write(tmp_path) / "leftImg8bit" / "train" / "ulm"
    (images / "ulm_000002_leftImg8bit.png").rename(images / "ulm_000002.png")
    with pytest.raises(UserError, match=r"ulm_000002\.png: is not named X_leftImg8bit"):
        open_data(tmp_path)
    (tmp_path / "leftImg8bit" / "val").mkdir()
    with pytest.raises(UserError, match="leftImg8bit/val has no image"):
        open_data(tmp_path, "val")


def test_truth_of_another_size_or_truncated(tmp_path):
    write(tmp_path, ids=np.zeros((4, 5), np.uint16))
    truth = tmp_path / "gtFine" / "train" / "ulm" / "ulm_000001_gtFine_instanceIds.png"
    data = open_data(tmp_path, holdout=0)
    Image.fromarray(np.zeros((3, 5), np.uint16)).save(truth)
    with pytest.raises(UserError, match=r"is 5x4, its truth .* is 5x3"):
        data[0]
    truth.write_bytes(truth.read_bytes()[:40])
    with pytest.raises(UserError, match=r"instanceIds\.png .*truncated"):
        data[0]


def test_hidden_cities_are_none_and_what_lies_beside_is_named(tmp_path):
    root = write(write(tmp_path), "valid", "bonn", ["7"])
    write(root, city=".ipynb_checkpoints", names=["8"])
    write(root, "train_extra", "jena", ["9"])
    images = root / "leftImg8bit"
    Image.new("RGB", (5, 4)).save(images / "train" / "x_leftImg8bit.png")
    Image.new("RGB", (5, 4)).save(images / "train" / "ulm" / "y_leftImg8bit.bmp")
    (images / "train" / "ulm" / "z.npy").touch()
    data = open_data(root)
    assert data.names == ["ulm_000001", "ulm_000002"]
    assert open_data(root, "val").names == ["bonn_7"]
    told = {str(p.file.relative_to(images)): p.message for p in data.problems}
    assert told["valid"] == "is taken as val"
    assert told["train_extra"].startswith("is a folder of 1 file that are left out")
    assert told["train"].startswith("has 1 images in no city's folder")
    assert [p.message[:20] for p in data.problems if p.file.name == "ulm"] == [
        "1 file of another fo",
        "has 1 images that ar",
    ]

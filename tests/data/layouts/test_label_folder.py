"""Label folders, and what open_data does for every layout: splits, classes, bad input."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data import open_data
from spatialembed.data.layouts.splits import split_names
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError


def write_pair(image, mask, value=1, shape=(8, 10)):
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(shape, np.uint16)
    labels[2:4, 3:6] = value
    Image.fromarray(labels).save(mask)
    Image.fromarray((labels > 0).astype(np.uint8) * 200).save(image)


def folder(root, split="train", names="abcdefgh"):
    for number, name in enumerate(names, start=1):
        write_pair(
            root / split / "images" / f"{name}.png", root / split / "masks" / f"{name}.tif", number
        )
    return root


def test_samples_are_pairs_by_name(tmp_path):
    data = open_data(folder(tmp_path), holdout=0)
    assert data.names == list("abcdefgh")
    assert data.class_names == ("object",)
    for number, name in enumerate(data.names):
        sample = data[number]
        assert sample.name == name
        assert sample.image.shape == (8, 10, 1)
        assert sample.label_mask.max() == number + 1
        np.testing.assert_array_equal(sample.image[..., 0] > 0, sample.label_mask > 0)
        np.testing.assert_array_equal(sample.class_map, np.where(sample.label_mask > 0, 0, -1))
        assert not sample.ignore.any()
        assert [file.name for file in data.files(number)] == [f"{name}.png", f"{name}.tif"]


@pytest.mark.parametrize("image", ["x{}.png", "x{}_img.png"])
@pytest.mark.parametrize("split", ["", "train"])
def test_cellpose_pairs(tmp_path, image, split):
    for number in range(1, 5):
        write_pair(
            tmp_path / split / image.format(number),
            tmp_path / split / f"x{number}_masks.png",
            number,
        )
        Image.new("L", (10, 8)).save(tmp_path / split / f"x{number}_flows.tif")
    data = open_data(tmp_path, holdout=0)
    assert data.names == ["x1", "x2", "x3", "x4"]
    assert [data[i].label_mask.max() for i in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("mask", ["masks/{}_img.tif", "masks/{}_img_masks.tif"])
def test_equal_stems_are_a_pair_whatever_they_end_in(tmp_path, mask):
    for number, name in enumerate("ab", start=1):
        write_pair(tmp_path / f"images/{name}_img.tif", tmp_path / mask.format(name), number)
        write_pair(tmp_path / f"images/{name}.tif", tmp_path / f"masks/{name}.tif", number + 2)
    data = open_data(tmp_path, holdout=0)
    assert data.names == ["a", "a_img", "b", "b_img"]
    assert [data[i].label_mask.max() for i in range(4)] == [3, 1, 4, 2]


def test_images_and_masks_without_a_split(tmp_path):
    write_pair(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png")
    assert open_data(tmp_path).names == ["a"]


def test_val_is_held_out_by_name(tmp_path):
    train, val = open_data(folder(tmp_path)), open_data(tmp_path, "val")
    assert len(val) == round(0.15 * 8)
    assert sorted(train.names + val.names) == list("abcdefgh")
    assert val.split == "val"
    assert val.names == ["d"]  # fixed forever: models are compared on it


def test_a_val_split_on_disk_is_taken(tmp_path):
    folder(folder(tmp_path), "val", "xyz")
    assert open_data(tmp_path).names == list("abcdefgh")
    assert open_data(tmp_path, "val").names == list("xyz")


@pytest.mark.parametrize("n", [2, 3, 10, 447])
@pytest.mark.parametrize("holdout", [0.01, 0.15, 0.5, 0.99])
def test_split_names(n, holdout):
    names = [f"image{i}" for i in range(n)]
    val = split_names(names[::-1], "val", holdout)
    assert len(val) == min(max(round(holdout * n), 1), n - 1)
    assert sorted(val + split_names(names, "train", holdout)) == sorted(names)


def test_split_names_of_one_image_or_no_holdout():
    assert split_names(["a"], "train", 0.15) == ["a"]
    assert split_names(["a"], "val", 0.15) == []
    assert split_names(["a", "b"], "val", 0) == []


def test_held_out_of_too_few(tmp_path):
    folder(tmp_path, names="a")
    with pytest.raises(UserError, match="no image in its val split; held out of train"):
        open_data(tmp_path, "val")


def test_ids_beyond_int32_stay_apart(tmp_path):
    folder(tmp_path, names="a")
    mask = np.zeros((8, 10), np.uint32)
    mask[0, 0], mask[1, 1], mask[2, 2] = 2**32 - 1, 2**32 - 2, 5
    tifffile.imwrite(tmp_path / "train" / "masks" / "a.tif", mask)
    found = open_data(tmp_path)[0].label_mask
    assert found.dtype == np.int32
    assert sorted(np.unique(found)) == [0, 1, 2, 3]
    np.testing.assert_array_equal(found > 0, mask > 0)


def test_missing_mask(tmp_path):
    (folder(tmp_path) / "train" / "masks" / "c.tif").unlink()
    with pytest.raises(UserError, match=r"c\.png: has no mask; expected .*masks/c\.png"):
        open_data(tmp_path)


def test_misnamed_mask(tmp_path):
    masks = folder(tmp_path) / "train" / "masks"
    (masks / "c.tif").rename(masks / "cc.tif")
    with pytest.raises(UserError, match=r"c\.png: has no mask"):
        open_data(tmp_path)


def test_a_mask_of_another_ending_is_to_be_renamed(tmp_path):
    train = folder(tmp_path, names="cd") / "train"
    for name in "cd":
        (train / "masks" / f"{name}.tif").rename(train / "masks" / f"{name}_mask.tif")
    with pytest.raises(
        UserError, match=r"masks/c\.png.*; rename .*c_mask\.tif so, and others like"
    ):
        open_data(tmp_path)
    for path in (*(train / "masks").iterdir(), *(train / "images").iterdir()):
        path.rename(train / path.name)
    for part in ("images", "masks"):
        (train / part).rmdir()
    with pytest.raises(UserError, match=r"NAME_masks\.png.*; rename .*c_mask\.tif so, and others"):
        open_data(tmp_path)


def test_many_problems_are_counted(tmp_path):
    for name in "cde":
        (folder(tmp_path, names="ab") / "train" / "images" / f"{name}.png").touch()
    with pytest.raises(UserError, match=r"\(and 2 more such\); `spatialembed check"):
        open_data(tmp_path)


def test_two_images_of_one_stem(tmp_path):
    Image.new("L", (10, 8)).save(folder(tmp_path) / "train" / "images" / "c.tif")
    with pytest.raises(UserError, match=r"c\.tif: has the stem of .*c\.png|c\.png: has the stem"):
        open_data(tmp_path)


def test_sizes_that_differ(tmp_path):
    Image.new("L", (10, 9)).save(folder(tmp_path, names="a") / "train" / "masks" / "a.tif")
    with pytest.raises(UserError, match=r"a\.png is 10x8, its truth .*a\.tif is 10x9"):
        open_data(tmp_path)[0]


def test_lossy_mask(tmp_path):
    masks = folder(tmp_path) / "train" / "masks"
    (masks / "c.tif").unlink()
    Image.new("L", (10, 8)).save(masks / "c.jpg")
    with pytest.raises(UserError, match=r"c\.jpg: is in a lossy format"):
        open_data(tmp_path)


def test_empty_folders(tmp_path):
    with pytest.raises(UserError, match="holds no layout that is known"):
        open_data(tmp_path)
    (tmp_path / "train" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match=r"train/images has no image"):
        open_data(tmp_path)


def test_no_such_folder_split_class_or_holdout(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_data(tmp_path / "missing")
    folder(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        open_data(tmp_path / "train" / "images" / "a.png")
    with pytest.raises(UserError, match="has no test split"):
        open_data(tmp_path, "test")
    with pytest.raises(UserError, match="a split is one of"):
        open_data(tmp_path, "validation")
    with pytest.raises(UserError, match="holds one class, but 2 were asked for"):
        open_data(tmp_path, class_names=["cell", "nucleus"])
    assert open_data(tmp_path, class_names=["nucleus"]).class_names == ("nucleus",)
    for names in ([], ["a", "a"]):
        with pytest.raises(UserError, match="class_names"):
            open_data(tmp_path, class_names=names)
    for holdout in (-0.1, 1.0):
        with pytest.raises(UserError, match="holdout"):
            open_data(tmp_path, holdout=holdout)


def test_unknown_layout_says_what_is_there(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError, match="it holds pictures"):
        open_data(tmp_path)


def test_sample_validates_itself():
    image = np.zeros((4, 5, 3), np.uint8)
    mask, classes = np.zeros((4, 5), np.int32), np.full((4, 5), -1, np.int16)
    ignore = np.zeros((4, 5), bool)
    Sample("a", image, mask, classes, ignore)
    for fields in (
        (image[..., 0], mask, classes, ignore),
        (image, mask.astype(np.int64), classes, ignore),
        (image, mask[:3], classes, ignore),
        (image, mask - 1, classes, ignore),
        (image, mask + 1, classes, ignore),
        (image, mask, classes + 1, ignore),
        (image, mask, classes, ignore.astype(np.uint8)),
    ):
        with pytest.raises(UserError, match="a: "):
            Sample("a", *fields)


def test_opening_does_not_import_torch(tmp_path):
    code = (
        "import sys; from spatialembed.data import open_data, check_data, object_index; "
        f"open_data({str(folder(tmp_path))!r})[0]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_nobody_knows_is_read_from_ignore(tmp_path):
    folder(tmp_path, names="ab")
    unknown = np.zeros((8, 10), np.uint8)
    unknown[5:] = 1
    path = tmp_path / "train" / "ignore" / "b.png"
    path.parent.mkdir()
    Image.fromarray(unknown).save(path)
    data = open_data(tmp_path, holdout=0)
    assert not data[0].ignore.any()
    np.testing.assert_array_equal(data[1].ignore, unknown > 0)
    assert data.files(1)[-1] == path
    Image.fromarray(unknown[:4]).save(path)
    with pytest.raises(UserError, match="ignore is 10x4"):
        data[1]
    path.rename(path.with_name("c.png"))
    assert "c.png" in str(open_data(tmp_path, holdout=0).problems[0])

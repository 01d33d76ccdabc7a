"""check_data names every problem by file, and counts what is there."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from spatialembed.data import check_data, open_data
from spatialembed.data.checks.mask_signs import Sign


def masks_and_images(root, split, masks):
    for part in ("images", "masks"):
        (root / split / part).mkdir(parents=True)
    for name, mask in masks.items():
        Image.fromarray(np.zeros(mask.shape, np.uint8)).save(
            root / split / "images" / f"{name}.png"
        )
        Image.fromarray(mask).save(root / split / "masks" / f"{name}.png")
    return root


def squares(*ids, shape=(20, 30)):
    mask = np.zeros(shape, np.uint8)
    for k, label in enumerate(ids):
        mask[6 * k : 6 * k + 4, 3:8] = label
    return mask


def test_what_a_good_data_set_holds(tmp_path):
    masks_and_images(tmp_path, "train", {"a": squares(1, 2), "b": squares(), "c": squares(5)})
    masks_and_images(tmp_path, "test", {"z": squares(1, shape=(10, 40))})
    report = check_data(tmp_path)
    assert report.problems == ()
    assert report.layout == "LabelFolder"
    assert [split.split for split in report.splits] == ["train", "val", "test"]
    train, val, test = report.splits
    assert train.images + val.images == 3
    assert train.objects["object"] + val.objects["object"] == 3
    assert train.images_without_objects + val.images_without_objects == 1
    assert test.sizes == {(40, 10): 1}
    assert (test.channels, test.dtypes) == ({1: 1}, {"uint8": 1})
    assert test.area_quantiles == (20.0,) * 7
    assert test.median_diameter == pytest.approx((80 / np.pi) ** 0.5)
    assert json.loads(json.dumps(report.to_dict()))["splits"][2]["sizes"] == {"40x10": 1}
    assert list(report.lines())[-1] == "no problem found"


def test_every_problem_is_named_by_file(tmp_path):
    good = {name: squares(1, 2) for name in "abcdefghi"}
    root = masks_and_images(tmp_path, "train", good) / "train"
    (root / "masks" / "b.png").unlink()
    (root / "masks" / "c.png").rename(root / "masks" / "cc.png")
    Image.fromarray(squares(1, shape=(21, 30))).save(root / "masks" / "d.png")
    data = (root / "images" / "e.png").read_bytes()
    (root / "images" / "e.png").write_bytes(data[:50])
    (root / "masks" / "f.png").unlink()
    Image.fromarray(squares(1)).save(root / "masks" / "f.jpg")
    (root / "masks" / "g.png").unlink()
    tifffile.imwrite(root / "masks" / "g.tif", squares(1) * np.float32(0.5))
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (20, 30, 3), dtype=np.uint8)).save(
        root / "masks" / "h.png"
    )
    Image.fromarray(squares(1, 1, 1)).save(root / "masks" / "i.png")
    report = check_data(tmp_path)
    found = {str(p.file.relative_to(root)): p.message for p in report.errors}
    expected = {
        "images/b.png": "has no mask",
        "images/c.png": "has no mask",
        "images/d.png": "is 30x20, its truth",
        "images/e.png": "damaged",
        "masks/f.jpg": "lossy",
        "masks/g.tif": "is not integer",
        "masks/h.png": "3 channels that differ",
    }
    assert found.keys() == expected.keys()
    for file, message in expected.items():
        assert message in found[file]
    warned = {p.file.name: p.message for p in report.warnings}
    assert warned.keys() == {"cc.png", "i.png"}
    assert "misnamed" in warned["cc.png"]
    assert "several parts" in warned["i.png"]
    assert len(report.problems) == 9
    assert sum(line.startswith("error: ") for line in report.lines()) == 7


def test_warnings_do_not_keep_a_data_set_from_being_opened(tmp_path):
    root = masks_and_images(tmp_path, "train", {name: squares(1, 1, 1) for name in "ab"})
    Image.fromarray(squares(1)).save(root / "train" / "masks" / "c.png")
    assert len(check_data(root).warnings) == 3
    assert open_data(root, holdout=0).names == ["a", "b"]


def test_no_object_anywhere(tmp_path):
    masks_and_images(tmp_path, "train", {name: squares() for name in "abc"})
    messages = [str(problem) for problem in check_data(tmp_path).errors]
    assert len(messages) == 2
    assert "has no object in its 2 train images" in messages[0]
    masks_and_images(tmp_path, "test", {"d": squares(1)})
    assert [p.warning for p in check_data(tmp_path).problems] == [True, True]


def test_mixed_channels(tmp_path):
    root = masks_and_images(tmp_path, "train", {name: squares(1) for name in "abcd"})
    Image.new("RGB", (30, 20)).save(root / "train" / "images" / "a.png")
    (problem,) = check_data(root, holdout=0).errors
    assert problem.file.name == "a.png"
    assert "3 channels, most images have 1" in problem.message


@pytest.mark.parametrize("name", ["", "with space "])
def test_nothing_to_open(tmp_path, name):
    root = tmp_path / f"{name}data"
    (problem,) = check_data(root).errors
    assert (problem.file, problem.message) == (
        root,
        "does not exist; give the folder of a data set",
    )
    root.mkdir()
    (problem,) = check_data(root).errors
    assert "holds no layout that is known" in problem.message
    (root / "train" / "images").mkdir(parents=True)
    (problem,) = check_data(root).errors
    assert problem.file == root / "train" / "images"
    assert problem.message.startswith("has no image")


def test_cityscapes_counts_every_class(tmp_path):
    ids = np.array([[26001, 26001, 26002, 24001, 26, 0]], np.uint16)
    for part, ending, array in (
        ("leftImg8bit", "leftImg8bit", np.zeros((1, 6, 3), np.uint8)),
        ("gtFine", "gtFine_instanceIds", ids),
    ):
        for split in ("train", "val"):
            folder = tmp_path / part / split / "ulm"
            folder.mkdir(parents=True)
            Image.fromarray(array).save(folder / f"ulm_1_{ending}.png")
    report = check_data(tmp_path)
    assert report.problems == ()
    assert report.splits[0].objects["car"] == 2
    assert report.splits[0].objects["person"] == 1
    assert report.splits[0].ignored == pytest.approx(2 / 6)
    assert set(check_data(tmp_path, ["car"]).splits[0].objects) == {"car"}
    (problem,) = check_data(tmp_path, ["cars"]).errors
    assert "no class 'cars'" in problem.message


def test_progress(tmp_path):
    seen = []
    masks_and_images(tmp_path, "train", {name: squares(1) for name in "abc"})
    check_data(tmp_path, holdout=0, progress=lambda *state: seen.append(state))
    assert seen == [("train", 1, 3), ("train", 2, 3), ("train", 3, 3)]


def test_masks_of_a_class_are_one_warning_a_split(tmp_path):
    masks_and_images(tmp_path, "train", {name: squares(1, 1, 1) for name in "abcdef"})
    (problem,) = check_data(tmp_path, holdout=0).warnings
    assert problem.file.name == "a.png"
    assert "a mask of the class, not of objects?" in problem.message
    assert problem.message.endswith("so are 5 more: b.png, c.png, d.png, ...")


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_large_masks_are_told_by_the_same_signs(tmp_path, kind, monkeypatch):
    """Whole or block by block: a background of 1, and a border around objects."""
    monkeypatch.setattr("spatialembed.data.large_sample.LARGE_PIXELS", 0)
    mask = np.kron(squares(1, 2), np.ones((5, 5), np.uint8))
    bordered = np.where(ndimage.binary_dilation(mask > 0, iterations=2) & (mask == 0), 9, mask)
    for part, arrays in (("images", (mask, mask)), ("masks", (mask + 1, bordered))):
        (tmp_path / "train" / part).mkdir(parents=True)
        for name, array in zip("ab", arrays, strict=True):
            path, array = tmp_path / "train" / part / f"{name}.{kind}", array.astype(np.uint8)
            if kind == "tif":
                tifffile.imwrite(path, array, tile=(32, 32), compression="zlib")
            else:
                Image.fromarray(array).save(path)
    messages = [problem.message for problem in check_data(tmp_path, holdout=0).warnings]
    assert messages == [Sign.BACKGROUND.value, Sign.BORDER.value]


def test_cityscapes_masks_that_were_interpolated(tmp_path):
    ids = np.array([[26001] * 8 + [13004] + [7] * 8], np.uint16)
    for part, ending, array in (
        ("leftImg8bit", "leftImg8bit", np.zeros((1, 17, 3), np.uint8)),
        ("gtFine", "gtFine_instanceIds", ids),
    ):
        folder = tmp_path / part / "train" / "ulm"
        folder.mkdir(parents=True)
        Image.fromarray(array).save(folder / f"ulm_1_{ending}.png")
    messages = [problem.message for problem in check_data(tmp_path).warnings]
    assert Sign.FOREIGN.value in messages


def test_other_channels_than_those_of_training(tmp_path):
    root = masks_and_images(tmp_path, "train", {name: squares(1) for name in "abc"})
    masks_and_images(root, "val", {name: squares(1) for name in "de"})
    for name in "de":
        Image.new("RGB", (30, 20)).save(root / "val" / "images" / f"{name}.png")
    Image.new("LA", (30, 20)).save(root / "train" / "images" / "a.png")  # grey all the same
    assert [str(problem) for problem in check_data(root).errors] == [
        f"{root / 'val' / 'images' / f'{name}.png'}: has 3 channels, most images have 1; convert it"
        for name in "de"
    ]


@pytest.mark.parametrize("empty", ["train", "val"])
def test_training_and_validation_need_objects(tmp_path, empty):
    for split in ("train", "val"):
        masks_and_images(tmp_path, split, {"a": squares(*[] if split == empty else [1])})
    (problem,) = check_data(tmp_path).errors
    message = f"has no object in its 1 {empty} image; training needs some there"
    assert problem.message == message


def test_a_single_training_image_leaves_none_to_validate_on(tmp_path):
    masks_and_images(tmp_path, "train", {"a": squares(1)})
    (problem,) = check_data(tmp_path).warnings
    assert "has one training image and none for validation" in problem.message
    assert "from a trained model one is enough" in problem.message


def test_images_without_objects_and_their_share_of_the_crops(tmp_path):
    masks = {"a": squares(1), "b": squares(1), "c": squares(), "d": squares()}
    masks_and_images(tmp_path, "train", masks)
    masks_and_images(tmp_path, "val", {"e": squares(1), "f": squares()})
    lines = list(check_data(tmp_path).lines())
    (train, val) = (line for line in lines if "without an object" in line)
    assert train.startswith("  2 images without an object: 20 % of the crops show them")
    assert val == "  1 image without an object"


def test_classes_that_training_never_shows(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    names = ("cell", "dust", "fibre")
    content = {
        "images": [
            {"id": k, "file_name": f"{k}.png", "height": 20, "width": 30} for k in range(3)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "iscrowd": 0, "area": 64,
             "bbox": [2, 2, 8, 8], "segmentation": [[2, 2, 10, 2, 10, 10, 2, 10]]}
            for k in range(3)
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names, start=1)],
    }  # fmt: skip
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(content))
    for k in range(3):
        Image.new("L", (30, 20)).save(tmp_path / "images" / f"{k}.png")
    (problem,) = check_data(tmp_path).warnings
    assert problem.message == "has no training object of dust, fibre: a model will find none"
    assert check_data(tmp_path, ["cell"]).problems == ()


def test_an_ignore_image_the_wrong_way_round_is_said(tmp_path):
    mask = squares(1, 2)
    masks_and_images(tmp_path, "train", dict.fromkeys("abc", mask))
    (tmp_path / "train" / "ignore").mkdir()
    Image.fromarray((mask > 0).astype(np.uint8)).save(tmp_path / "train" / "ignore" / "b.png")
    (problem,) = check_data(tmp_path).problems
    assert (problem.file.name, problem.warning) == ("b.png", True)
    assert problem.message == Sign.IGNORED.value
    Image.fromarray((mask == 1).astype(np.uint8)).save(tmp_path / "train" / "ignore" / "b.png")
    assert not check_data(tmp_path).problems  # as where somebody was not sure of one


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_set_without_training_images_can_only_be_scored(tmp_path, split):
    masks_and_images(tmp_path, split, {"a": squares(1, 2)})
    report = check_data(tmp_path)
    [problem] = [p for p in report.problems if "no training image" in p.message]
    assert problem.warning
    assert "evaluate" in problem.message

"""check_data names every problem by file, and counts what is there."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data import check_data, open_data


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
        "images/e.png": "truncated",
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
    assert "has no object in any of its 2 train images" in messages[0]
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

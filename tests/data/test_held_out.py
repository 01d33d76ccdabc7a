"""Validation images held out by groups, when a model is trained and when it is asked again."""

import json

import numpy as np
import pytest
from PIL import Image

from spatialembed.data.held_out import open_as_trained, open_by_groups
from spatialembed.data.open import open_data
from spatialembed.errors import UserError

NAMES = [f"{picture}_{tile}" for picture in "abcde" for tile in range(4)]


def write(path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((8, 10), np.uint8)
    array[2:4, 3:6] = value
    Image.fromarray(array).save(path)


def label_folder(root, split="train", names=NAMES):
    for name in names:
        write(root / split / "images" / f"{name}.png", 200)
        write(root / split / "masks" / f"{name}.png", 1)
    return root


def cityscapes(root):
    for name in NAMES:
        write(root / "leftImg8bit/train/town" / f"{name}_leftImg8bit.png", 200)
        path = root / "gtFine/train/town" / f"{name}_gtFine_instanceIds.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 10), 26000, np.uint16)).save(path)
    return root


def coco(root):
    box = [[1, 1, 5, 1, 5, 5, 1, 5]]
    images = [
        {"id": i, "file_name": f"{name}.png", "height": 8, "width": 10}
        for i, name in enumerate(NAMES)
    ]
    annotations = [
        {"id": i, "image_id": i, "category_id": 1, "segmentation": box, "area": 16, "iscrowd": 0}
        for i in range(len(NAMES))
    ]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}],
    }
    for name in NAMES:
        write(root / "images" / f"{name}.png", 200)
    (root / "annotations").mkdir()
    (root / "annotations/instances_train.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("layout", [label_folder, cityscapes, coco])
@pytest.mark.parametrize("beside_val", [False, True])
def test_whole_groups_are_held_out_in_every_layout(tmp_path, layout, beside_val):
    root = layout(tmp_path)
    train, val = open_by_groups(root, "^(.)", holdout=0.2, beside_val=beside_val)
    assert sorted(train.names + val.names) == NAMES
    assert len(val) == 4
    assert len({name[0] for name in val.names}) == 1
    assert (train.split, val.split) == ("train", "val")
    assert val[0].name == val.names[0]  # an image with its truth, whatever the layout
    notes = {"holdout": 0.2, "held_out": json.loads(json.dumps(val.names))}
    for part in (train, val):
        again = open_as_trained(root, part.split, part.class_names, notes)
        assert (again.names, again.split) == (part.names, part.split)


def test_without_groups_the_share_is_by_name(tmp_path):
    root = label_folder(tmp_path)
    for split in ("train", "val"):
        again = open_as_trained(root, split, ("object",), {"holdout": 0.3})
        assert again.names == open_data(root, split, holdout=0.3).names


def test_a_val_split_of_its_own_is_not_parted_unasked(tmp_path):
    root = label_folder(label_folder(tmp_path), "val", ["v"])
    with pytest.raises(UserError, match=r"has a val split of its own.*with --validation holdout"):
        open_by_groups(root, "^(.)")
    train, val = open_by_groups(root, "^(.)", holdout=0.2, beside_val=True)
    assert sorted(train.names + val.names) == NAMES
    notes = {"held_out": val.names}
    assert open_as_trained(root, "val", ("object",), notes).names == ["v"]
    assert open_as_trained(root, "train", ("object",), notes).names == train.names


def test_nothing_to_hold_out_is_refused(tmp_path):
    root = label_folder(tmp_path)
    with pytest.raises(UserError, match="--holdout, which is 0"):
        open_by_groups(root, "^(.)", holdout=0)
    with pytest.raises(UserError, match="of one group"):
        open_by_groups(root, "(_)")


def test_groups_far_from_the_share_are_told(tmp_path):
    root = label_folder(tmp_path, names=["a1", "a2", "a3", "b1", "b2"])
    _, val = open_by_groups(root, "^(.)", holdout=0.1)
    assert val.names == ["b1", "b2"]
    assert "2 of 5 training images are held out" in str(val.problems[-1])


def test_held_out_images_that_are_gone_are_refused(tmp_path):
    root = label_folder(tmp_path)
    notes = {"held_out": ["a_0", "gone", "lost"]}
    for split in ("train", "val"):
        with pytest.raises(UserError, match=r"lacks 2 of the 3 images that were held out.*as gone"):
            open_as_trained(root, split, ("object",), notes)


def test_other_data_is_told_to_be_such(tmp_path):
    root = label_folder(tmp_path)
    val = open_as_trained(root, "val", ("object",), {"held_out": ["x", "y"]})
    assert val.names == open_data(root, "val").names
    assert "holds none of the 2 images" in str(val.problems[-1])


def test_more_names_than_a_model_keeps_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("spatialembed.data.held_out.MOST_TEXT", 10)
    with pytest.raises(UserError, match="too much text for a model to keep"):
        open_by_groups(label_folder(tmp_path), "^(.)", holdout=0.2)


def test_names_that_begin_with_their_folder_are_their_own(tmp_path):
    root = label_folder(tmp_path / "plate", names=[f"plate-{k}" for k in range(4)])
    val = open_as_trained(root, "val", ("object",), {"held_out": ["plate-2"]})
    assert val.names == ["plate-2"]

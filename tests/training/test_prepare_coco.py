"""What training takes from COCO data: classes by name, crowds as asked for; and what it says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from spatialembed.errors import UserError
from spatialembed.inference.evaluate import open_split
from spatialembed.training import resume
from spatialembed.training.config import TrainConfig
from spatialembed.training.prepare import gather


def box(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def write(root, split, categories, annotations):
    """Four images of 40 x 30, and annotations of the first, (category, x, more) each."""
    for part in ("annotations", "images"):
        (root / part).mkdir(exist_ok=True)
    images = [
        {"id": k, "file_name": f"{split}{k}.png", "height": 30, "width": 40} for k in range(4)
    ]
    for image in images:
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(root / "images" / image["file_name"])
    rows = [
        {
            "id": n,
            "image_id": 0,
            "category_id": category,
            "segmentation": box(x, 5, 8, 8),
            **more,
        }
        for n, (category, x, more) in enumerate(annotations, start=1)
    ]
    kinds = [{"id": number, "name": name} for name, number in categories.items()]
    content = {"images": images, "annotations": rows, "categories": kinds}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize(
    ("categories", "a", "b", "warned"),
    [
        ({"b": 1, "a": 2}, 2, 1, False),
        ({"c": 1, "b": 7, "a": 5}, 5, 7, False),
        ({"a": 1, "b": 2}, 1, 2, False),
        ({"b": 1}, None, 1, True),
    ],
)
def test_validation_judges_the_classes_that_are_trained(tmp_path, categories, a, b, warned):
    write(tmp_path, "train", {"a": 1, "b": 2}, [(1, 5, {}), (2, 20, {})])
    write(tmp_path, "val", categories, [(a, 5, {}), (b, 20, {})] if a else [(b, 20, {})])
    material = gather(TrainConfig(data=tmp_path, out=tmp_path / "run"))
    assert material.train.class_names == material.val.class_names == ("a", "b")
    train, val = material.train[0], material.val[0]
    assert train.class_map[5:13, 20:28].tolist() == [[1] * 8] * 8
    np.testing.assert_array_equal(train.class_map[:, 20:], val.class_map[:, 20:])
    assert (val.class_map.max(), (val.class_map == 0).any()) == (1, a is not None)
    assert bool(material.warnings) == warned
    if warned:
        assert "no category 'a', which instances_train.json has" in str(material.warnings[0])


def test_crowds_are_what_they_were_in_training(tmp_path):
    rows = [(1, 2, {}), (1, 20, {"iscrowd": 1})]
    write(tmp_path, "train", {"a": 1}, rows)
    write(tmp_path, "val", {"a": 1}, rows)
    for crowds, count in (("ignore", 1), ("objects", 2)):
        config = TrainConfig(data=tmp_path, out=tmp_path / "run", crowds=crowds)
        material = gather(config)
        assert len(material.index) == count
        assert material.spec.training["crowds"] == crowds
        assert [str(w).count("crowds") > 0 for w in material.warnings] == [True] * 2 * (2 - count)
        val = open_split(tmp_path, "val", material.spec)
        assert val[0].label_mask.max() == count
        assert open_split(tmp_path, "val", material.spec, "objects")[0].label_mask.max() == 2
        assert open_split(tmp_path, "val", material.spec, "ignore")[0].label_mask.max() == 1


def test_crowds_of_training_say_nothing_of_data_that_has_none(tmp_path):
    for split in ("train", "val"):
        write(tmp_path, split, {"object": 1}, [(1, 5, {})])
    config = TrainConfig(data=tmp_path, out=tmp_path / "run", crowds="objects")
    spec = gather(config).spec
    for part in ("images", "masks"):
        (tmp_path / "folder" / "val" / part).mkdir(parents=True)
        Image.fromarray(np.ones((30, 40), np.uint8)).save(
            tmp_path / "folder" / "val" / part / "a.png"
        )
    assert open_split(tmp_path / "folder", "val", spec).names == ["a"]


def test_where_all_are_crowds_training_says_why_there_is_no_object(tmp_path):
    write(tmp_path, "train", {"a": 1}, [(1, 5, {"iscrowd": 1})])
    write(tmp_path, "val", {"a": 1}, [(1, 5, {})])
    with pytest.raises(UserError, match=r"no object of a in the .*--crowds objects"):
        gather(TrainConfig(data=tmp_path, out=tmp_path / "run"))


def test_a_validation_annotation_that_cannot_be_read_is_refused_before_training(tmp_path):
    write(tmp_path, "train", {"a": 1}, [(1, 5, {})])
    write(tmp_path, "val", {"a": 1}, [(1, 5, {}), (1, 20, {"segmentation": [[1, 2, 3]]})])
    with pytest.raises(UserError, match=r"instances_val.json: annotation 2 of image 0 .*x, y"):
        gather(TrainConfig(data=tmp_path, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_older_than_the_option_had_crowds_ignored():
    config = TrainConfig()
    then = json.loads(resume._as_json(config))
    del then["crowds"]
    state = {"config": json.dumps(then)}
    assert resume.resumed_config(state, config).crowds == "ignore"
    with pytest.raises(UserError, match="crowds was ignore"):
        resume.resumed_config(state, replace(config, crowds="objects"))

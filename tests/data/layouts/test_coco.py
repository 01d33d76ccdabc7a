"""The COCO layout: what is drawn, what is ignored, where images are found, malformed files."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from spatialembed.data import open_data
from spatialembed.errors import UserError


def box(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def annotation(number, category, segmentation, image=7, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        **more,
    }


CATEGORIES = [{"id": 90, "name": "cell"}, {"id": 3, "name": "debris"}]


def write(root, annotations, json_name="train.json", folder="images", images=None, **content):
    images = images or [{"id": 7, "file_name": "a.png", "height": 10, "width": 12}]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
        **content,
    }
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / json_name).write_text(json.dumps(content))
    for row in images:
        path = root / folder / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (row["width"], row["height"])).save(path)
    return root


def only(root, **options):
    return open_data(root, holdout=0, **options)[0]


def test_objects_and_classes(tmp_path):
    write(tmp_path, [annotation(1, 90, box(1, 2, 3, 4)), annotation(2, 3, box(6, 6, 4, 2))])
    data = open_data(tmp_path, holdout=0)
    assert data.class_names == ("debris", "cell")
    assert data.category_ids == {"debris": 3, "cell": 90}
    assert (data.names, data.image_ids) == (["a"], [7])
    assert data.annotation_file == tmp_path / "annotations" / "train.json"
    sample, expected = data[0], np.zeros((10, 12), int)
    expected[2:6, 1:4], expected[6:8, 6:10] = 1, 2
    np.testing.assert_array_equal(sample.label_mask, expected)
    np.testing.assert_array_equal(sample.class_map, np.array([-1, 1, 0])[expected])
    assert not sample.ignore.any()


def test_classes_not_asked_for_are_background(tmp_path):
    crowd = annotation(2, 3, box(6, 6, 4, 2), iscrowd=1)
    sample = only(
        write(tmp_path, [annotation(1, 90, box(1, 2, 3, 4)), crowd]), class_names=["cell"]
    )
    assert sample.class_map.max() == 0
    assert (sample.label_mask > 0).sum() == 12
    assert not sample.ignore.any()


def test_run_lengths_compressed_and_not(tmp_path):
    mask = np.random.default_rng(0).random((10, 12)) < 0.5
    counts = mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(edges - 1, prepend=0, append=120)[: len(edges)].tolist()
    for shape in (counts, runs):
        segmentation = {"size": [10, 12], "counts": shape}
        sample = only(write(tmp_path, [annotation(1, 90, segmentation)]))
        np.testing.assert_array_equal(sample.label_mask, mask)


def test_several_polygons_are_one_object(tmp_path):
    sample = only(write(tmp_path, [annotation(1, 90, box(0, 0, 4, 4) + box(2, 2, 6, 4))]))
    assert sample.label_mask.max() == 1
    assert sample.label_mask.sum() == 16 + 24 - 4


def test_the_smaller_of_two_objects_is_seen(tmp_path):
    small, large = box(4, 4, 2, 2), box(2, 2, 8, 6)
    for first, second in ((small, large), (large, small)):
        mask = only(
            write(tmp_path, [annotation(1, 90, first), annotation(2, 3, second)])
        ).label_mask
        assert (mask[4:6, 4:6] == (1 if first is small else 2)).all()
        assert (mask > 0).sum() == 48


def test_crowds_and_bare_boxes_are_ignored_where_no_object_is(tmp_path):
    crowd = annotation(1, 90, {"size": [10, 12], "counts": [60, 60]}, iscrowd=1)
    bare = annotation(3, 90, [], bbox=[0, 0, 2, 3])
    sample = only(write(tmp_path, [crowd, annotation(2, 90, box(5, 0, 2, 10)), bare]))
    expected = np.zeros((10, 12), bool)
    expected[:, 7:], expected[:3, :2] = True, True
    np.testing.assert_array_equal(sample.ignore, expected)
    assert (sample.label_mask == 2).sum() == 20


@pytest.mark.parametrize(
    ("json_name", "folder"),
    [
        ("instances_train2017.json", "images/train2017"),
        ("instances_train2017.json", "train2017"),
        ("instances_train2017.json", "images"),
        ("instances_train.json", "images/train"),
        ("train.json", "images/train"),
        ("train.json", "train"),
        ("train.json", "."),
    ],
)
def test_where_images_are(tmp_path, json_name, folder):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_train2017.json").write_text("{}")
    write(tmp_path, [], json_name, folder)
    assert open_data(tmp_path, holdout=0).names == ["a"]


def test_names_and_splits(tmp_path):
    images = [
        {"id": i, "file_name": f"plate/{i:02}.png", "height": 4, "width": 4} for i in range(10)
    ]
    write(tmp_path, [], images=images[::-1])
    train, val = open_data(tmp_path), open_data(tmp_path, "val")
    assert sorted(train.names + val.names) == [f"plate_{i:02}" for i in range(10)]
    assert (train.names, len(val)) == (sorted(train.names), 2)
    write(tmp_path, [], "val.json", "images/val")
    assert open_data(tmp_path, "val").names == ["a"]
    with pytest.raises(UserError, match="has no test split"):
        open_data(tmp_path, "test")


def test_a_class_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"no category 'cells'; it has debris, cell"):
        open_data(write(tmp_path, []), class_names=["cells"])


def test_missing_image_and_size_that_differs(tmp_path):
    write(tmp_path, [])
    Image.new("RGB", (12, 11)).save(tmp_path / "images" / "a.png")
    with pytest.raises(UserError, match=r"a\.png is 12x11, its truth .*train\.json is 12x10"):
        only(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(UserError, match=r"a\.png: does not exist, though .*train\.json names it"):
        open_data(tmp_path)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3]],
        [["x", "y"]],
        5,
        {"size": [3, 3], "counts": [9]},
        {"size": [10, 12], "counts": [9]},
        {"size": [10, 12], "counts": "P"},
        {"size": [10, 12]},
    ],
)
def test_a_segmentation_that_cannot_be_read(tmp_path, segmentation):
    write(tmp_path, [annotation(41, 90, segmentation)])
    with pytest.raises(UserError, match=r"train\.json: annotation 41 of image 7 has a segment"):
        only(tmp_path)


def test_annotations_without_image_or_outline(tmp_path):
    write(tmp_path, [annotation(41, 90, box(0, 0, 1, 1), image=8)])
    with pytest.raises(UserError, match=r"annotation 41 of image 8, which is not listed"):
        open_data(tmp_path)
    write(tmp_path, [annotation(41, 90, [])])
    with pytest.raises(UserError, match=r"annotation 41 of image 7: no segmentation and no box"):
        open_data(tmp_path)


def test_a_json_that_is_none(tmp_path):
    file = write(tmp_path, []) / "annotations" / "train.json"
    file.write_text(file.read_text()[:-9])
    with pytest.raises(UserError, match=r"train\.json cannot be read as json"):
        open_data(tmp_path)
    for content, message in (
        ([], "no list of images"),
        ({"images": []}, "no list of annotations"),
        ({"images": [{"id": 1}], "annotations": [], "categories": []}, "without file_name"),
        ({"images": [], "annotations": [], "categories": []}, "no categories"),
    ):
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match=message):
            open_data(tmp_path)


def test_images_that_are_picked_keep_their_own_annotations(tmp_path):
    images = [
        {"id": k, "file_name": f"day{k}/{name}.png", "height": 10, "width": 12}
        for k, name in enumerate("cab")
    ]
    rows = [annotation(k, 90, box(1, 1, 2 + k, 3), image=k) for k in range(3)]
    data = open_data(write(tmp_path, rows, images=images), holdout=0)
    assert data.names == ["day0_c", "day1_a", "day2_b"]
    picked = data.only({"day2_b", "day1_a"})
    assert (picked.names, picked.image_ids) == (["day1_a", "day2_b"], [1, 2])
    assert [int((sample.label_mask > 0).sum()) for sample in picked] == [9, 12]
    assert picked[0].name == "day1_a"

"""What people's COCO files hold besides plain objects: each is read right, counted, or refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_coco import annotation, box, only, write

from spatialembed.data import check_data, object_index, open_data
from spatialembed.errors import UserError

PLAIN = annotation(1, 90, box(1, 1, 3, 3))
WHOLE = {"size": [10, 12], "counts": [60, 60]}


def told(root, **options):
    """What `check` says, warnings and errors, without the folder."""
    problems = check_data(root, holdout=0, **options).problems
    told = ("has one training image", "has no training object")  # of so few images
    problems = [p for p in problems if not p.message.startswith(told)]
    return [problem.message for problem in problems], [p for p in problems if not p.warning]


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (None, "only a box"),
        ([], "only a box"),
        ({}, "only a box"),
        ([[]], "only a box"),
        ([[], []], "only a box"),
        ([[6, 6, 9, 8]], "fewer than three corners"),
        ([[6, 6], [7, 7, 8, 8]], "fewer than three corners"),
        ([[80, 80, 90, 80, 90, 90]], "outside of the image"),
        ([[-9, 2, -3, 2, -3, 8]], "outside of the image"),
        ([[2, -9, 3, -9, 3, -1]], "outside of the image"),
        ([[0.5, 0.6, 0.6, 0.6, 0.6, 0.7]], "multiply x by the width"),
        ([[0, 0, 1, 0, 1, 1, 0, 1], [0.5, 0.5, 1, 0.5, 1, 1]], "multiply x by the width"),
        ([[5, 5, 8, 5, 9, 5]], "without a pixel inside"),
        ({"size": [10, 12], "counts": [120]}, "without a pixel inside"),
    ],
)
def test_what_has_no_pixel_is_counted_and_its_box_ignored(tmp_path, segmentation, said):
    rows = [PLAIN, annotation(9, 90, segmentation, bbox=[6, 5, 4, 3])]
    sample = only(write(tmp_path, rows))
    expected = np.zeros((10, 12), bool)
    expected[5:8, 6:10] = True
    np.testing.assert_array_equal(sample.ignore, expected)
    assert (sample.label_mask > 0).sum() == 9
    messages, errors = told(tmp_path)
    assert not errors
    assert len(messages) == 1
    assert "annotation 9 of image 7: " in messages[0] or "such as annotation 9" in messages[0]
    assert said in messages[0]


def test_many_of_a_kind_are_one_sentence(tmp_path):
    rows = [annotation(n, 90, [[80, 80, 90, 80, 90, 90]]) for n in range(5, 30)]
    messages, _ = told(write(tmp_path, [PLAIN, *rows]))
    assert len(messages) == 1
    assert "25 annotations, such as annotation 5 of image 7: outlined wholly outside" in messages[0]


@pytest.mark.parametrize(
    ("segmentation", "bbox", "said"),
    [
        ([[0.5, 0.6, 0.6, 0.6, 0.6, 0.7]], [0.5, 0.6, 0.1, 0.1], "shares of the image's size"),
        ([[0.5, 0.6, 0.6, 0.6, 0.6, 0.7]], None, "shares of the image's size"),
        ([], [0.5, 0.6, 0.1, 0.1], "no segmentation and no box"),
        (None, None, "no segmentation and no box"),
        (None, [1, 2, 3], "no segmentation and no box"),
        (None, ["a", 2, 3, 4], "no segmentation and no box"),
        (None, [1, 2, float("nan"), 4], "no segmentation and no box"),
    ],
)
def test_what_has_no_place_is_refused(tmp_path, segmentation, bbox, said):
    write(tmp_path, [PLAIN, annotation(9, 90, segmentation, bbox=bbox)])
    messages, errors = told(tmp_path)
    assert len(errors) == len(messages) == 1
    assert said in messages[0]
    assert "annotation 9 of image 7" in messages[0]
    with pytest.raises(UserError, match="annotation 9 of image 7"):
        open_data(tmp_path)


@pytest.mark.parametrize("flag", [1, True, 1.0, "1"])
def test_crowds_are_counted_and_may_be_objects(tmp_path, flag):
    rows = [annotation(n, 90, box(1 + 3 * n, 1, 2, 2), iscrowd=flag) for n in range(3)]
    write(tmp_path, [*rows, annotation(3, 3, box(1, 6, 4, 2), iscrowd=0)])
    ignored = only(tmp_path)
    assert (len(np.unique(ignored.label_mask)) - 1, ignored.ignore.sum()) == (1, 12)
    messages, errors = told(tmp_path)
    assert not errors
    assert messages[0].startswith("3 of 4 annotations, such as annotation 0 of image 7: marked as")
    assert "--crowds objects" in messages[0]
    taken = only(tmp_path, crowds="objects")
    assert (len(np.unique(taken.label_mask)) - 1, taken.ignore.sum()) == (4, 0)
    assert told(tmp_path, crowds="objects") == ([], [])


def test_where_all_are_crowds_check_says_why_there_is_no_object(tmp_path):
    write(tmp_path, [{**PLAIN, "iscrowd": 1}])
    messages, errors = told(tmp_path)
    assert "crowds" in messages[0]
    assert "has no object" in errors[0].message


def test_the_index_of_objects_is_not_that_of_other_crowds(tmp_path):
    write(tmp_path, [PLAIN, annotation(2, 90, box(6, 6, 3, 3), iscrowd=1)])
    counts = [
        len(object_index(open_data(tmp_path, holdout=0, crowds=crowds)))
        for crowds in ("ignore", "objects", "ignore")
    ]
    assert counts == [1, 2, 1]


def test_crowds_are_of_coco_alone(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / "train" / part).mkdir(parents=True)
        Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "train" / part / "a.png")
    with pytest.raises(UserError, match="crowds are of COCO data"):
        open_data(tmp_path, crowds="objects")


def test_a_category_that_is_not_listed_is_ignored_and_counted(tmp_path):
    write(tmp_path, [PLAIN, annotation(5, 91, box(6, 6, 4, 2))])
    for names in (None, ["debris"]):
        sample = only(tmp_path, class_names=names)
        assert sample.ignore[6:8, 6:10].all()
        assert sample.ignore.sum() == 8
    assert "annotation 5 of image 7: of a category that is not listed" in told(tmp_path)[0][0]


def test_ids_given_twice(tmp_path):
    images = [{"id": k // 2, "file_name": f"{k}.png", "height": 10, "width": 12} for k in range(4)]
    rows = [annotation(k, 90, box(1, 1, 3, 3), image=k // 2) for k in range(4)]
    write(tmp_path, rows, images=images)
    messages, errors = told(tmp_path)
    assert "2 image ids are given twice, such as 0 (0.png, 1.png)" in errors[0].message
    with pytest.raises(UserError, match=r"such as 0 \(0\.png, 1\.png\)"):
        open_data(tmp_path)
    write(tmp_path, [PLAIN, annotation(1, 3, box(6, 6, 4, 2))])
    assert len(np.unique(only(tmp_path).label_mask)) == 3
    messages, errors = told(tmp_path)
    assert not errors
    assert "1 annotation id is given twice, such as 1" in messages[0]


def test_an_image_listed_twice(tmp_path):
    images = [{"id": k, "file_name": "a.png", "height": 10, "width": 12} for k in (7, 8)]
    write(tmp_path, [PLAIN], images=images)
    with pytest.raises(UserError, match=r"a\.png: is listed twice, as images 7 and 8"):
        open_data(tmp_path)


def test_an_object_wholly_beneath_others_is_counted(tmp_path):
    parts = [annotation(2, 90, box(2, 2, 2, 4)), annotation(3, 90, box(4, 2, 2, 4))]
    write(tmp_path, [annotation(1, 90, box(2, 2, 4, 4)), *parts])
    assert np.unique(only(tmp_path).label_mask).tolist() == [0, 2, 3]
    messages, errors = told(tmp_path)
    assert not errors
    assert "annotation 1 of image 7: wholly beneath smaller ones" in messages[0]


def test_ids_may_be_words_and_numbers_of_any_kind(tmp_path):
    images = [
        {"id": "left", "file_name": "a.png", "height": 10.0, "width": 12},
        {"id": 8.0, "file_name": "b.png", "height": 10, "width": 12.0},
        {"id": "9", "file_name": "c.png", "height": 10, "width": 12},
    ]
    rows = [
        annotation("x", "two", box(1, 1, 3, 3), image="left", iscrowd=None, area=None, bbox=None),
        annotation(None, 1.0, box(1, 1, 4, 3), image="8"),
        annotation([], "1", box(1, 1, 5, 3), image=9.0, iscrowd=False, ignore=None),
        {"image_id": 9, "category_id": "two", "segmentation": box(7, 1, 2, 3)},
    ]
    for bom, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"", "utf-8"), (b"", "utf-16")):
        write(tmp_path, [], images=[{**image, "height": 10, "width": 12} for image in images])
        kinds = [{"id": "two", "name": "cell"}, {"id": 1, "name": 5}]
        content = {"images": images, "annotations": rows, "categories": kinds}
        file = tmp_path / "annotations" / "train.json"
        file.write_bytes(bom + json.dumps(content).encode(encoding))
        data = open_data(tmp_path, holdout=0)
        assert data.class_names == ("cell", "5")
        assert data.category_ids == {"cell": "two", "5": 1}
        assert data.image_ids == ["left", 8.0, "9"]
        areas = [[int((s.class_map == k).sum()) for k in (0, 1)] for s in data]
        assert areas == [[9, 0], [0, 12], [6, 15]]
        assert told(tmp_path) == ([], [])
        file.unlink()


def test_categories_are_in_the_order_of_their_numbers(tmp_path):
    kinds = [{"id": "10", "name": "ten"}, {"id": 9.0, "name": "nine"}, {"id": 2, "name": "two"}]
    write(tmp_path, [annotation(1, 9, box(1, 1, 3, 3))], categories=kinds)
    assert open_data(tmp_path, holdout=0).class_names == ("two", "nine", "ten")
    assert only(tmp_path).class_map.max() == 1


@pytest.mark.parametrize("size", [(12, 10), (5, 7)])
def test_another_size_than_that_of_the_file(tmp_path, size):
    write(tmp_path, [PLAIN])
    Image.new("L", (size[1], size[0])).save(tmp_path / "images" / "a.png")
    said = f"is {size[1]}x{size[0]}, its truth .*train.json is 12x10"
    swapped = " with width and height swapped" if size == (12, 10) else ""
    with pytest.raises(UserError, match=f"{said}{swapped}; make"):
        only(tmp_path)
    messages, errors = told(tmp_path)
    assert len(messages) == len(errors) == 1  # by the header and by the pixels: said once
    remarks = open_data(tmp_path, holdout=0).remarks()
    assert [remark.message for remark in remarks] == messages


def test_validation_has_the_classes_of_training(tmp_path):
    write(tmp_path, [annotation(1, 90, box(1, 1, 3, 3))])
    kinds = [{"id": 3, "name": "cell"}]
    write(tmp_path, [annotation(1, 3, box(1, 1, 3, 3))], "val.json", categories=kinds)
    names = open_data(tmp_path).class_names
    val = open_data(tmp_path, "val", names)
    assert val.class_names == names == ("debris", "cell")
    assert val[0].class_map.max() == names.index("cell")
    messages, errors = told(tmp_path)
    assert not errors
    assert messages == [
        "has no category 'debris', which train.json has, so no object of it; it has cell"
    ]
    with pytest.raises(UserError, match="no category 'cells'"):
        open_data(tmp_path, "val", ["cells"])


ODD = [None, True, -1, 0, 1.5, 1e300, 10**40, float("nan"), float("inf"), "", "x", "\0", "\ud800"]
ODD += [[], [[]], [[[]]], [None], ["a"], [1, 2], {}, {"size": [10, 12]}, {"counts": 5, "size": 2}]
ODD += [[[1, 2, 3]], [[None] * 6], [["1"] * 6], "a" * 5000, ".", "/", "..", [[1e12] * 6], WHOLE]
FIELDS = [("images", k) for k in ("id", "file_name", "height", "width")]
FIELDS += [("categories", "id"), ("categories", "name")]
FIELDS += [("annotations", k) for k in (*annotation(1, 1, 1), "iscrowd", "ignore", "area", "bbox")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(ODD)), min_size=1, max_size=3),
    st.sampled_from([None, "images", "annotations", "categories"]),
)
def test_a_wrong_type_anywhere_is_a_sentence(tmp_path_factory, changes, spoilt):
    """Or it is read; whatever `check` finds no error in can be read to the last sample."""
    root = write(tmp_path_factory.mktemp("odd"), [{**PLAIN, "iscrowd": 0, "bbox": [1, 1, 3, 3]}])
    file = root / "annotations" / "train.json"
    content = json.loads(file.read_text())
    for (part, field), value in changes:
        content[part][0][field] = value
    if spoilt:
        content[spoilt] = changes[0][1]
    file.write_text(json.dumps(content))
    for problem in (report := check_data(root, holdout=0)).problems:
        assert len(problem.message) < 1000  # the file is named whole, however long
        assert str(problem).encode()  # can be printed
    try:
        samples = list(open_data(root, holdout=0))
    except UserError:
        assert report.errors
    else:
        assert samples[0].label_mask.shape == (10, 12)


def test_huge_sizes_are_refused(tmp_path):
    write(tmp_path, [PLAIN])
    file = tmp_path / "annotations" / "train.json"
    content = json.loads(file.read_text())
    for height, said in ((10**8, "too large to be taken whole"), (10**30, "too large")):
        content["images"][0]["height"] = height
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match=said):
            open_data(tmp_path)


@pytest.mark.parametrize("key", ["id", "name"])
def test_categories_that_are_one_are_refused(tmp_path, key):
    kinds = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    kinds[1][key] = kinds[0][key]
    write(tmp_path, [PLAIN], categories=kinds)
    with pytest.raises(UserError, match="two categories"):
        open_data(tmp_path)


def test_a_json_too_deep_to_be_read(tmp_path):
    write(tmp_path, [PLAIN])
    (tmp_path / "annotations" / "train.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="cannot be read as json"):
        open_data(tmp_path)


def test_objects_that_lie_partly_beneath_others_are_counted(tmp_path):
    nested = [annotation(1, 90, box(0, 0, 6, 6)), annotation(2, 3, box(1, 1, 3, 3))]
    messages, errors = told(write(tmp_path, nested))
    assert not errors
    assert messages[0].startswith("1 of 2 annotations, such as annotation 1 of image 7: partly")
    assert "a target" in messages[0]
    assert not told(tmp_path, class_names=["cell"])[0]
    touching = [annotation(1, 90, box(0, 0, 6, 10)), annotation(2, 3, box(5.6, 0, 6, 9))]
    assert not told(write(tmp_path, touching))[0]


def test_an_id_of_any_length_makes_no_long_sentence(tmp_path):
    with pytest.raises(UserError, match=r"annotation a{60} has iscrowd -1") as raised:
        only(write(tmp_path, [{**PLAIN, "id": "a" * 5000, "iscrowd": -1}]))
    assert len(str(raised.value)) < 500

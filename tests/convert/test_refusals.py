"""What is wrong with an export of a tool is one sentence, and nothing is left."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_formats import CVAT, SQUARE, labelme, line, put, put_image, studio, texts

from spatialembed.convert.run import convert
from spatialembed.errors import UserError


def break_labelme(root: Path, **change: object) -> None:
    put_image(root / "a.png", change.pop("size", (40, 60)))
    labelme(root, {"points": SQUARE, **change})


BROKEN = {
    "polygon of 2 points": (
        lambda root: break_labelme(root, points=SQUARE[:2]),
        r"a\.json: shape 1 \(cell\) is a polygon of 2 points; draw it anew",
    ),
    "no numbers": (
        lambda root: break_labelme(root, points=[["a", 1]] * 3),
        r"a\.json: shape 1 \(cell\) is no polygon that can be drawn",
    ),
    "another size": (
        lambda root: break_labelme(root, size=(60, 40)),
        r"a\.png is 40x60, its truth .*a\.json is 60x40 with width and height swapped",
    ),
    "missing image": (
        lambda root: labelme(root, {"points": SQUARE}),
        r"a\.json names the image a\.png, which is not below .*; put it there",
    ),
    "broken mask": (
        lambda root: break_labelme(root, shape_type="mask", mask="!"),
        r"a\.json: shape 1 \(cell\) is a mask that cannot be read",
    ),
    "cvat, missing image": (
        lambda root: put(root / "annotations.xml", CVAT),
        r"annotations\.xml names the image a\.png, which is not below",
    ),
    "cvat, broken run lengths": (
        lambda root: (
            put_image(root / "a.png"),
            put(root / "annotations.xml", CVAT.replace("0, 14, 2", "0, 15, 2")),
        ),
        r"annotations\.xml: shape 2 of a\.png \(ring\) has run lengths that are none of 6x6",
    ),
    "cvat, cut off": (
        lambda root: put(root / "annotations.xml", CVAT[:300]),
        r"annotations\.xml cannot be read as xml",
    ),
    "unknown class": (
        lambda root: texts(root, line(SQUARE, 7)),
        r"a\.txt: line 1 is of class 7, and .*data\.yaml names 0, 1; name it there",
    ),
    "pixels for shares": (
        lambda root: texts(root, "0 5 5 15 5 15 15"),
        r"a\.txt: line 1 is not in shares",
    ),
    "no names": (
        lambda root: texts(root, line(SQUARE), data="train: ../train/images\n"),
        r"nothing names their classes; put data\.yaml there",
    ),
    "brush of another size": (
        lambda root: (
            put_image(root / "a.png"),
            put(
                root / "x.json",
                studio(
                    {"type": "brushlabels", "value": {"format": "rle", "rle": [0, 0, 0, 9] * 9}}
                ),
            ),
        ),
        r"x\.json: result 1 of task 7 \(object\) is a brush that cannot be read \(they are of",
    ),
    "stated size of another image": (
        lambda root: (
            put_image(root / "a.png"),
            put(
                root / "x.json",
                studio({"type": "polygon", "value": {"points": SQUARE}, "original_width": 61}),
            ),
        ),
        r"a\.png is 60x40, its truth .*x\.json is 61x40",
    ),
    "drawn on an image that was turned": (
        lambda root: (
            put_image(root / "a.png"),
            put(
                root / "x.json",
                studio({"type": "polygon", "value": {"points": SQUARE}, "image_rotation": 90}),
            ),
        ),
        r"result 1 of task 7 \(object\) was drawn on the image turned by 90 degrees; draw it anew",
    ),
    "seg without an image": (
        lambda root: np.save(root / "a_seg.npy", {"masks": np.ones((3, 3), int)}),
        r"a_seg\.npy has no image; put a\.png",
    ),
    "several ids in a mask of one": (
        lambda root: (
            put_image(root / "a" / "images" / "a.png", (4, 4)),
            (root / "a" / "masks").mkdir(),
            Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(
                root / "a" / "masks" / "1.png"
            ),
        ),
        r"1\.png has several ids",
    ),
    "labelme, one cut off": (
        lambda root: (
            break_labelme(root),
            put(root / "b.json", (root / "a.json").read_text().partition('"imagePath"')[0]),
        ),
        r"b\.json cannot be read as json \(.*\); export it again, or take it away",
    ),
    "labelme, one empty": (
        lambda root: (break_labelme(root), put(root / "b.json", "")),
        r"b\.json cannot be read as json",
    ),
    "labelme, all cut off": (
        lambda root: (put_image(root / "a.png"), put(root / "a.json", '{"shapes": [[1, 2]')),
        r"a\.json cannot be read as json",
    ),
    "coco, one cut off": (
        lambda root: (
            put_image(root / "a.png"),
            put(root / "train.json", {"images": [], "annotations": [], "categories": []}),
            put(root / "val.json", '{"images": [{"id": 1}'),
        ),
        r"val\.json cannot be read as json",
    ),
    "nothing": (lambda root: None, r"in holds no layout that is known"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_is_one_sentence_and_nothing_is_left(tmp_path, fault) -> None:
    make, words = BROKEN[fault]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    with pytest.raises(UserError, match=words) as told:
        convert(tmp_path / "in", tmp_path / "out")
    assert "\n" not in str(told.value)
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_places_that_are_refused(tmp_path) -> None:
    break_labelme(tmp_path / "in")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="there exists already"):
        convert(tmp_path / "in", tmp_path / "there")
    with pytest.raises(UserError, match="is within"):
        convert(tmp_path / "in", tmp_path / "in" / "out")
    with pytest.raises(UserError, match=r"a\.png is no folder"):
        convert(tmp_path / "in" / "a.png", tmp_path / "out")
    with pytest.raises(UserError, match=r"as .*a\.png is no folder; choose another place"):
        convert(tmp_path / "there", tmp_path / "in" / "a.png" / "x" / "out")
    convert(tmp_path / "in", tmp_path / "out")
    with pytest.raises(UserError, match=r"out is read as it is: `spatialembed check"):
        convert(tmp_path / "out", tmp_path / "again")

"""The official COCO table and our own count the same objects, and others' tools say the same."""

import copy
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from spatialembed.data import check_data, open_data
from spatialembed.data.annotations.masks import run_lengths
from spatialembed.formats.coco_results import compressed_rle
from spatialembed.inference.layout_scores import official_score
from spatialembed.instances import Instances
from spatialembed.metrics.average_precision import score_images

pytest.importorskip("faster_coco_eval")

SIZE = (120, 160)


def box(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def runs(x, y, w, h, as_text=False):
    rle = compressed_rle(np.ones((h, w), bool), (y, x), SIZE)
    return rle if as_text else {**rle, "counts": run_lengths(rle["counts"]).tolist()}


def row(image, category, segmentation, **more):
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        **more,
    }


OBJECTS = [
    row("left", 2.0, box(5, 5, 20, 20), iscrowd=None, area=400),
    row("left", "2", runs(40, 5, 20, 20), area=None, bbox=[40, 5, 20, 20]),
    row("left", 2, runs(5, 40, 30, 20, as_text=True), iscrowd=False),
    row("right", 1, [*box(5, 5, 20, 20), *box(10, 20, 20, 20)], iscrowd=0, area=-1),
    row("right", 1, [[], *box(60, 5, 20, 20), [3, 3]], ignore=0, area="x"),
    row("right", 2, box(60, 60, 20, 20), bbox=None),
    row("right", 2, box(100, 60, 20, 20), area=float("nan")),
]
"""Three objects of class b in "left", two of each in "right"; all of one annotation id."""

CROWDS = [
    row("left", 2, runs(100, 60, 40, 40), iscrowd=1),
    row("left", 1, box(70, 60, 20, 20), iscrowd="1", area=400),
]

ODDITIES = [
    row("left", 2, None, bbox=[70, 5, 20, 20]),
    row("left", 2, [], bbox=[70, 30, 20, 20]),
    row("left", 1, [[]], bbox=[100, 5, 20, 20]),
    row("left", 1, [[130, 5, 150, 25]], bbox=[130, 5, 20, 20]),
    row("left", 1, [[130, 30, 140, 30, 150, 30]], bbox=[130, 30, 20, 20]),
    row("right", 1, [[800, 800, 900, 800, 900, 900]], bbox=[100, 5, 20, 20]),
    row("right", 1, [[800, 800, 900, 800, 900, 900]], bbox=[800, 800, 100, 100]),
    row("right", 2, [[0.8, 0.1, 0.9, 0.1, 0.9, 0.2]], bbox=[130, 5, 20, 20]),
    row("right", 77, box(130, 60, 20, 20)),
    row("right", 2, box(62, 62, 10, 10), ignore=1),
    row("right", 2, box(60, 60, 20, 20)),  # a second time: one of the two is not seen
]

REGIONS = {
    "left": [(100, 60, 40, 40), (70, 60, 20, 20), (70, 5, 20, 20), (70, 30, 20, 20)],
    "right": [(130, 60, 20, 20), (100, 5, 20, 20), (130, 5, 20, 20)],
}
"""Where nobody knows: what is found there is no error."""


@pytest.fixture
def odd(tmp_path):
    """A data set with every oddity, a byte order mark, and categories that are out of order."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    images = [
        {"id": name, "file_name": f"{name}.png", "height": float(SIZE[0]), "width": SIZE[1]}
        for name in ("right", "left", "empty")
    ]
    for image in images:
        Image.new("L", SIZE[::-1]).save(tmp_path / "images" / image["file_name"])
    content = {
        "images": images,
        "annotations": OBJECTS + CROWDS + ODDITIES,
        "categories": [{"id": "2", "name": "b"}, {"id": 1.0, "name": "a"}],
    }
    text = json.dumps(content).encode()
    (tmp_path / "annotations" / "instances_val.json").write_bytes(b"\xef\xbb\xbf" + text)
    return tmp_path


def tables(dataset, found, max_found=100, out=None):
    """Our own figures and the official ones of instances, one an image."""
    with official_score(dataset, out, None, max_found) as score:
        for i, instances in enumerate(found):
            score.add(i, lambda instances=instances: instances)
        official = score.figures()
    pairs = (
        (each, sample.label_mask, sample.class_map, sample.ignore, sample.name)
        for each, sample in zip(found, dataset, strict=True)
    )
    return score_images(pairs, dataset.class_names), official


def instances_of(sample, names, keep=lambda number: True):
    """The truth as if it had been found, but for objects that are left out."""
    labels = [n for n in np.unique(sample.label_mask) if n]
    kept = [n for k, n in enumerate(labels) if keep(k)]
    label_map = np.zeros(SIZE, np.int32)
    for number, label in enumerate(kept, start=1):
        label_map[sample.label_mask == label] = number
    kinds = [int(sample.class_map[sample.label_mask == label][0]) for label in kept]
    scores = np.linspace(0.9, 0.8, len(kept), dtype=np.float32)
    return Instances.from_label_map(label_map, scores, kinds, names)


def test_both_tables_have_the_same_objects(odd):
    data = open_data(odd, "val")
    assert data.class_names == ("a", "b")
    found = [instances_of(sample, data.class_names) for sample in data]
    own, official = tables(data, found)
    assert {name: held["objects"] for name, held in own["classes"].items()} == {"a": 2, "b": 5}
    for name in "ab":
        assert own["classes"][name]["pooled"]["ap"] == [1.0] * 9
        assert official["classes"][name]["AP"] == pytest.approx(100)
    assert official["mean"]["AP"] == pytest.approx(100)


def test_both_tables_miss_the_same(odd):
    """One of two of class a and two of five of b: by hand, as many of 101 recalls as that share."""
    data = open_data(odd, "val")
    assert data.names == ["empty", "left", "right"]
    keep = {"empty": (), "left": (1, 2), "right": (0,)}
    found = [instances_of(s, data.class_names, keep[s.name].__contains__) for s in data]
    own, official = tables(data, found)
    assert own["classes"]["a"]["pooled"]["ap"] == [1 / 2] * 9
    assert own["classes"]["b"]["pooled"]["ap"] == [2 / 5] * 9
    assert official["classes"]["a"]["AP"] == pytest.approx(100 * 51 / 101)
    assert official["classes"]["b"]["AP"] == pytest.approx(100 * 41 / 101)


def test_what_is_found_where_nobody_knows_is_no_error_in_either(odd):
    data = open_data(odd, "val")
    found = []
    for sample in data:
        perfect = instances_of(sample, data.class_names)
        label_map, kinds = perfect.label_map.copy(), perfect.classes.tolist()
        for x, y, w, h in REGIONS.get(sample.name, []):
            label_map[y + 2 : y + h - 2, x + 2 : x + w - 2] = len(kinds) + 1
            kinds.append(_class_of(data, sample.name, x, y))
        scores = np.linspace(0.9, 0.8, len(kinds), dtype=np.float32)[::-1]
        order = np.argsort(-scores, kind="stable")
        anew = np.zeros(len(kinds) + 1, np.int32)
        anew[order + 1] = np.arange(1, len(kinds) + 1)
        kinds = np.array(kinds)[order] if kinds else kinds
        found.append(
            Instances.from_label_map(anew[label_map], scores[order], kinds, data.class_names)
        )
    own, official = tables(data, found)
    assert own["mean"]["pooled"]["ap"] == [1.0] * 9
    assert official["mean"]["AP"] == pytest.approx(100)


def _class_of(data, name, x, y):
    """The class of the annotation whose region is at x, y; COCO ignores within a class."""
    for drawn in data.drawing(data.names.index(name)).drawn:
        if coco_mask.toBbox(drawn.mask)[:2].tolist() == [x, y]:
            return data.categories.get(drawn.annotation.category, 0)
    raise AssertionError(f"no region at {x}, {y}")


def test_crowds_as_objects_are_objects_in_both(odd):
    data = open_data(odd, "val", crowds="objects")
    found = [instances_of(sample, data.class_names) for sample in data]
    own, official = tables(data, found)
    assert {name: held["objects"] for name, held in own["classes"].items()} == {"a": 3, "b": 6}
    assert official["mean"]["AP"] == pytest.approx(100)
    without = open_data(odd, "val")
    found = [instances_of(sample, data.class_names) for sample in without]
    own, official = tables(data, found)
    assert [own["classes"][n]["pooled"]["ap"][0] for n in "ab"] == [2 / 3, 5 / 6]
    assert official["classes"]["a"]["AP"] == pytest.approx(100 * 67 / 101)
    assert official["classes"]["b"]["AP"] == pytest.approx(100 * 84 / 101)


def test_check_counts_every_oddity(odd):
    problems = check_data(odd, crowds="ignore").problems
    told = "\n".join(problem.message for problem in problems)
    assert all(problem.warning for problem in problems)
    for said in (
        "3 of 20 annotations, such as annotation 1 of image left: marked as crowds",
        "3 of 20 annotations, such as annotation 1 of image left: only a box",
        "1 of 20 annotations, such as annotation 1 of image right: outlined in shares",
        "1 of 20 annotations, such as annotation 1 of image right: of a category",
        "1 annotation id is given twice, such as 1",
        "annotation 1 of image left: outlined by fewer than three corners",
        "annotation 1 of image left: outlined without a pixel inside",
        "2 annotations, such as annotation 1 of image right: outlined wholly outside",
        "annotation 1 of image right: wholly beneath smaller ones",
        "has no training image",
    ):
        assert said in told
    assert len(problems) == 10


@pytest.fixture
def plain(tmp_path):
    """Objects of all of COCO's sizes, some of whose areas are not those of their boxes."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    rows = []
    for image in (4, 9):
        Image.new("L", SIZE[::-1]).save(tmp_path / "images" / f"{image}.png")
        shapes = (box(2, 2, 20, 20), [[30, 2, 90, 2, 90, 50]], [[2, 30, 2, 119, 80, 119]])
        shapes = (*shapes, box(100, 2, 58, 116))
        for number, shape in enumerate(shapes):
            mask = coco_mask.merge(coco_mask.frPyObjects(shape, *SIZE))
            rows.append(
                {
                    **row(image, 7, shape, iscrowd=0, area=int(coco_mask.area(mask))),
                    "id": 10 * image + number,
                    "bbox": coco_mask.toBbox(mask).tolist(),
                }
            )
    images = [
        {"id": k, "file_name": f"{k}.png", "height": SIZE[0], "width": SIZE[1]} for k in (4, 9)
    ]
    kinds = [{"id": 7, "name": "cell"}]
    content = {"images": images, "annotations": rows, "categories": kinds}
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return tmp_path


def by_others(truth, results):
    """AP, AP50, AP75 and those by size, of both public evaluators at their defaults."""
    from faster_coco_eval import COCO as FasterCOCO
    from faster_coco_eval import COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for reader, judge in ((COCO, COCOeval), (FasterCOCO, COCOeval_faster)):
        loaded = reader(str(truth))
        evaluation = judge(loaded, loaded.loadRes(str(results)), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        yield np.asarray(evaluation.stats[:6], float)


def test_others_score_the_results_file_as_we_do(plain, tmp_path):
    """Three of four objects, displaced, and ghosts first: thin ones whose boxes are large."""
    data, rng = open_data(plain, "val"), np.random.default_rng(0)
    found = []
    for sample in data:
        label_map = np.roll(sample.label_mask, int(rng.integers(0, 3)), axis=1) % 4
        label_map[label_map > 0] += 1
        label_map[np.arange(118), np.arange(2, 120)] = 1
        found.append(Instances.from_label_map(label_map, [0.9, 0.8, 0.7, 0.6], [0] * 4, ["cell"]))
    _, official = tables(data, found, out=tmp_path)
    ours = [-100 if each is None else each for each in official["mean"].values()]
    assert 10 < ours[0] < 90
    for theirs in by_others(data.annotation_file, tmp_path / "coco_results.json"):
        assert ours == pytest.approx(100 * theirs)
    # with a box beside each mask they score another: what our results must not have
    rows = json.loads((tmp_path / "coco_results.json").read_text())
    for each in rows:
        each["bbox"] = coco_mask.toBbox(each["segmentation"]).tolist()
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    for theirs in by_others(data.annotation_file, tmp_path / "boxes.json"):
        assert ours != pytest.approx(100 * theirs)


def test_images_that_are_cut_are_counted(plain):
    data = open_data(plain, "val")
    found = [instances_of(sample, data.class_names) for sample in data]
    _, official = tables(data, found, max_found=3)
    assert (official["max_found"], official["images_cut"], official["images"]) == (3, 2, 2)
    assert official["mean"]["AP"] == pytest.approx(100 * 76 / 101)  # 6 of 8
    _, official = tables(data, found, max_found=4)
    assert official["images_cut"] == 0
    assert official["mean"]["AP"] == pytest.approx(100)


def test_the_score_leaves_the_data_set_as_it_was(odd):
    data = open_data(odd, "val")
    before = copy.deepcopy([record.rows for record in data.records])
    tables(data, [instances_of(sample, data.class_names) for sample in data])
    assert repr(before) == repr([record.rows for record in data.records])

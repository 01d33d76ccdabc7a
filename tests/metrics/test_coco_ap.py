"""COCO AP against pycocotools on random scenes, and by hand."""

import copy
import json

import numpy as np
import pytest
from pycocotools import mask as mask_tools

from spatialembed.metrics.coco_ap import coco_ap

pytest.importorskip("faster_coco_eval")

SIZE = (140, 150)


def rle(mask):
    coded = mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(coded["size"]), "counts": coded["counts"].decode()}


def box_mask(y, x, height, width):
    mask = np.zeros(SIZE, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def scenes(seed, images=4):
    """(ground truth, results): boxes of every size, moved, missed, invented; crowds."""
    rng = np.random.default_rng(seed)
    truth = {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(images)],
        "categories": [{"id": c, "name": n} for c, n in ((3, "cell"), (1, "bead"), (9, "none"))],
        "annotations": [],
    }
    results = []
    for image in range(images):
        for k in range(12):
            y, x, h, w = (int(v) for v in rng.integers((0, 0, 4, 4), (100, 100, 120, 120)))
            category = int(rng.choice([1, 3]))
            mask = box_mask(y, x, h, w)
            if k < 8:
                truth["annotations"].append(
                    {
                        "id": len(truth["annotations"]),
                        "image_id": image,
                        "category_id": category,
                        "segmentation": rle(mask),
                        "area": int(mask.sum()),
                        "bbox": [x, y, w, h],
                        "iscrowd": int(k == 0),
                    }
                )
            if rng.random() < 0.8:
                near = box_mask(y + int(rng.integers(0, 6)), x + int(rng.integers(0, 6)), h, w)
                results.append(
                    {
                        "image_id": image,
                        "category_id": category,
                        "segmentation": rle(near),
                        "score": float(rng.random()),
                    }
                )
    return truth, results


def by_pycocotools(truth, results, categories, max_found=100):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = copy.deepcopy((truth, results))
    for each in truth["annotations"]:
        each["id"] += 1
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(results), "segm")
    evaluation.params.catIds = categories
    evaluation.params.maxDets = [1, 2, max_found]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]
    cut = (precision[..., 0], precision[0, ..., 0], precision[5, ..., 0])
    parts = (*cut, precision[..., 1], precision[..., 2], precision[..., 3])
    return [100 * p[p > -1].mean() if (p > -1).any() else None for p in parts]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("max_found", [100, 5])
def test_figures_equal_pycocotools(seed, max_found, capfd):
    truth, results = scenes(seed)
    before = copy.deepcopy((truth, results))
    scores = coco_ap(results, truth, max_found=max_found)
    assert capfd.readouterr() == ("", "")
    assert (truth, results) == before
    for figures, categories in (
        (scores["mean"], [1, 3, 9]),
        (scores["classes"]["cell"], [3]),
        (scores["classes"]["bead"], [1]),
    ):
        assert list(figures) == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
        assert 0 < figures["AP"] < 100
        expected = by_pycocotools(truth, results, categories, max_found)
        assert list(figures.values()) == pytest.approx(expected)
    assert set(scores["classes"]["none"].values()) == {None}
    json.dumps(scores, allow_nan=False)


def test_the_area_is_the_masks():
    """A thin diagonal is small whatever its box, in truth without "area" and in results."""
    line = np.eye(*SIZE, dtype=bool)
    truth = {
        "images": [{"id": 1, "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": 1, "name": "fiber"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": rle(line)}],
    }
    row = {"image_id": 1, "category_id": 1, "segmentation": rle(line), "score": 1.0}
    ghost = {**row, "segmentation": rle(np.eye(*SIZE, 9, dtype=bool))}
    figures = coco_ap([row, ghost], truth)["mean"]
    assert figures["APs"] == pytest.approx(100)
    assert figures["APl"] is None


def test_nothing_found_scores_0():
    truth, _ = scenes(1)
    assert coco_ap([], truth)["mean"]["AP"] == 0


def test_images_of_more_found_objects_than_are_looked_at_are_counted():
    truth, results = scenes(0)
    per_image = {(row["image_id"], row["category_id"]): 0 for row in results}
    for row in results:
        per_image[row["image_id"], row["category_id"]] += 1
    most = max(per_image.values())
    assert coco_ap(results, truth, max_found=most)["images_cut"] == 0
    held = {image for (image, _), count in per_image.items() if count == most}
    assert coco_ap(results, truth, max_found=most - 1)["images_cut"] == len(held)

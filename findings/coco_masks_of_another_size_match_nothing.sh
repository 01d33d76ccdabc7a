#!/usr/bin/env bash
# COCO's masks of another size than the image's match nothing, and the AP is 0, in pycocotools and faster-coco-eval.
# Guess before: an error, or an AP of what overlaps, for perfect results whose run lengths have one row more than the truth's, as of
# images that were padded to a multiple of 32. Seen with pycocotools 2.0.11 and faster-coco-eval 1.8.0: the IoU of two masks of
# different sizes is -1, so that 16 cells, each of them found to the pixel, have an AP of 0 by their masks and of 1 by their boxes.
# Nothing is said, as all sizes are valid, and so a good network with a wrong last step looks like a bad one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import contextlib
import io
import sys

import faster_coco_eval
import numpy as np
import pycocotools.coco
import pycocotools.cocoeval
from pycocotools import mask

places = [(10 + 20 * i, 10 + 20 * j) for i in range(4) for j in range(4)]


def runs(place: tuple[int, int], height: int) -> dict:
    """A cell of 10 x 10 pixels in an image of ``height`` x 100."""
    cell = np.zeros((height, 100), np.uint8, "F")
    cell[place[0] : place[0] + 10, place[1] : place[1] + 10] = 1
    return mask.encode(cell) | {"counts": mask.encode(cell)["counts"].decode()}


truth = [
    {"id": 1 + k, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100, "segmentation": runs(place, 100)}
    | {"bbox": [place[1], place[0], 10, 10]}
    for k, place in enumerate(places)
]
data = {"images": [{"id": 1, "height": 100, "width": 100}], "categories": [{"id": 1, "name": "cell"}], "annotations": truth}
seen = {}
for height in (100, 101):
    results = [
        {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": runs(place, height), "bbox": [place[1], place[0], 10, 10]}
        for place in places
    ]
    for name, COCO, Eval in (
        ("pycocotools", pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
        ("faster-coco-eval", faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    ):
        for kind in ("segm", "bbox"):
            with contextlib.redirect_stdout(io.StringIO()):
                coco = COCO()
                coco.dataset = data
                coco.createIndex()
                evaluation = Eval(coco, coco.loadRes(results), kind)
                for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
                    step()
            seen[name, kind, height] = round(float(evaluation.stats[0]), 2)
            print(name, kind, "masks of", height, "rows: AP", seen[name, kind, height])
print("IoU:", mask.iou([runs(places[0], 101)], [runs(places[0], 100)], [0]))
expected = {key: float(key[1] == "bbox" or key[2] == 100) for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/bin/sh
# A "bbox" in a COCO results file changes the AP of its masks.
#
# Guessed: iouType "segm" looks at masks alone. Seen, in pycocotools and faster-coco-eval: loadRes
# takes the area of a result from its box where the first result has one, else from its mask. AP by
# size leaves out results outside of the size that match nothing, so a thin false object (small by
# its mask, medium by its box) is an error among the small ones only in a file without boxes. Ends
# with an error if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 faster-coco-eval==1.8.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import faster_coco_eval
import numpy as np
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

folder = Path(sys.argv[1])


def coded(pixels):
    rle = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


square, line = np.zeros((100, 100), bool), np.eye(100, dtype=bool)
square[70:90, 10:30] = True
truth = {
    "images": [{"id": 1, "height": 100, "width": 100}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": coded(square), "area": 400,
         "bbox": [10, 70, 20, 20], "iscrowd": 0}
    ],
}
results = [
    {"image_id": 1, "category_id": 1, "segmentation": coded(line), "score": 0.9},
    {"image_id": 1, "category_id": 1, "segmentation": coded(square), "score": 0.8},
]
boxed = [{**row, "bbox": mask.toBbox(row["segmentation"]).tolist()} for row in results]
for name, content in (("truth", truth), ("plain", results), ("boxed", boxed)):
    (folder / name).write_text(json.dumps(content))
changed = False
tools = {
    "pycocotools": (COCO, COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
for tool, (reader, judge) in tools.items():
    small = {}
    for name in ("plain", "boxed"):
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = reader(str(folder / "truth"))
            evaluation = judge(loaded, loaded.loadRes(str(folder / name)), "segm")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        small[name] = round(float(evaluation.stats[3]), 3)
    print(tool, version(tool), "AP of small masks:", small)
    changed |= small != {"plain": 0.5, "boxed": 1.0}
sys.exit(changed)
PYTHON
# seen: pycocotools 2.0.11 AP of small masks: {'plain': 0.5, 'boxed': 1.0}
# seen: faster-coco-eval 1.8.0 AP of small masks: {'plain': 0.5, 'boxed': 1.0}

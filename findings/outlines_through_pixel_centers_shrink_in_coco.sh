#!/usr/bin/env bash
# Masks that supervision writes as COCO polygons are a pixel smaller across for whoever reads them as COCO.
# Guess before: pycocotools makes the same mask of them, as it does of outlines along the pixels' edges. Seen with
# supervision 0.31.2 and pycocotools 2.0.11: its corners are the centers of the border's pixels, COCO's are corners of
# pixels, so that each object loses half a pixel all around: IoU with itself .79 for a disc 13 pixels wide, .40 for one
# of 5, .69 for a square of 6, whose perfect mask is no match at an AP of .70 and more. Its box is a pixel short too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet supervision==0.31.2 pycocotools==2.0.11 pillow==12.3.0
cd "$folder"
venv/bin/python - <<'PY'
import json
import sys
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image
from pycocotools import mask as rle

y, x = np.mgrid[:60, :60]
masks = {f"disc of {2 * r + 1}": (y - 30) ** 2 + (x - 30) ** 2 <= r * r for r in (2, 6, 12)}
masks["square of 6"] = (abs(y - 30.5) < 3) & (abs(x - 30.5) < 3)
stack = np.stack(list(masks.values()))
Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save("a.png")
found = sv.Detections(xyxy=sv.mask_to_xyxy(stack).astype(float), mask=stack, class_id=np.zeros(len(stack), int))
sv.DetectionDataset(classes=["cell"], images=["a.png"], annotations={"a.png": found}).as_coco(
    annotations_path="coco.json"
)
rows = json.loads(Path("coco.json").read_text())["annotations"]
seen = {}
for (name, mask), row in zip(masks.items(), rows, strict=True):
    read = np.zeros_like(mask)
    if row["segmentation"]:
        read = rle.decode(rle.merge(rle.frPyObjects(row["segmentation"], 60, 60))).astype(bool)
    seen[name] = round(float((mask & read).sum() / (mask | read).sum()), 2)
    print(name, "pixels", int(mask.sum()), "read as", int(read.sum()), "IoU", seen[name], "bbox", row["bbox"])
expected = {"disc of 5": 0.4, "disc of 13": 0.79, "disc of 25": 0.89, "square of 6": 0.69}
same = seen == expected and rows[-1]["bbox"] == [28, 28, 5, 5]
print("as seen before" if same else "changed")
sys.exit(not same)
PY

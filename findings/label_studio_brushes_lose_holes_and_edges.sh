#!/usr/bin/env bash
# Label Studio's converter to COCO fills the holes of a brushed object, counts its parts as objects, and drops thin ones.
# Guess before: one annotation an object with the pixels that were painted, as the brush's run lengths hold them and COCO's
# may; or parts apart and holes filled. Seen with label-studio-sdk 2.1.2 (convert_to_coco of brushes), pycocotools 2.0.11: a
# disc of 317 pixels has 288, as its outline goes through the middles of the edge's pixels; a ring of 204 is the disc, 288;
# an object of two parts is two of 64 rather than one of 162, and one that is a pixel wide is not in the file. Area is
# that of the polygon, so nothing in the file tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet label-studio-sdk==2.1.2 pycocotools==2.0.11
cd "$folder"
venv/bin/python - <<'PY'
import json
import sys
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import brush
from label_studio_sdk.converter.exports.brush_to_coco import convert_to_coco
from pycocotools import mask as rle

y, x = np.mgrid[:60, :80]
away = (y - 20) ** 2 + (x - 20) ** 2
objects = {
    "disc": away <= 100,
    "ring": (away <= 100) & (away > 36),
    "two parts": (abs(y - 45) < 5) & ((abs(x - 20) < 5) | (abs(x - 40) < 5)),
    "a pixel wide": (abs(y - 45) < 5) & (x == 60),
}
seen = {}
for name, mask in objects.items():
    drawn = {"type": "brushlabels", "brushlabels": ["cell"], "rle": brush.mask2rle((mask * 255).astype(np.uint8))}
    kept = np.reshape(brush.decode_rle(drawn["rle"]), (60, 80, 4))[..., 3] > 0
    drawn |= {"original_width": 80, "original_height": 60}
    item = {"id": 1, "completed_by": {"email": "someone"}, "input": {"image": "a.png"}, "output": {"x": [drawn]}}
    annotations = json.loads(Path(convert_to_coco([item], name)).read_text())["annotations"]
    sizes = [int(rle.area(rle.merge(rle.frPyObjects(each["segmentation"], 60, 80)))) for each in annotations]
    seen[name] = int(mask.sum()), int(kept.sum()), sizes
    print(name, "painted", seen[name][0], "in the brush's run lengths", seen[name][1], "in COCO", sizes)
expected = {"disc": (317, 317, [288]), "ring": (204, 204, [288])}
expected |= {"two parts": (162, 162, [64, 64]), "a pixel wide": (9, 9, [])}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

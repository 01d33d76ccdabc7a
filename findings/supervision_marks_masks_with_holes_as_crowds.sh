#!/bin/sh
# supervision writes COCO masks that have a hole, or two parts, with iscrowd 1.
#
# COCO's crowds are regions of many objects: they are trained on by few and scored by none. Guessed:
# masks go out as polygons, holes filled. Seen: a disc is a polygon with iscrowd 0; a disc with a
# hole, and an object of two parts, are run lengths with iscrowd 1, so that who reads the file as
# COCO means it loses both in silence. Ends with an error if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet supervision==0.31.2
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image

folder = Path(sys.argv[1])
y, x = np.mgrid[:100, :300]


def disc(column, radius):
    return (y - 50) ** 2 + (x - column) ** 2 <= radius**2


masks = {"disc": disc(50, 30), "hole": disc(150, 30) & ~disc(150, 5), "parts": disc(220, 15) | disc(270, 15)}
image = str(folder / "a.png")
Image.fromarray(np.zeros((100, 300, 3), np.uint8)).save(image)
stack = np.stack(list(masks.values()))
found = sv.Detections(xyxy=sv.mask_to_xyxy(stack).astype(float), mask=stack, class_id=np.zeros(3, int))
data = sv.DetectionDataset(classes=["cell"], images=[image], annotations={image: found})
data.as_coco(annotations_path=str(folder / "coco.json"))
rows = json.loads((folder / "coco.json").read_text())["annotations"]
flags = {name: int(row["iscrowd"]) for name, row in zip(masks, rows, strict=True)}
print("supervision", sv.__version__, "iscrowd:", flags)
sys.exit(flags != {"disc": 0, "hole": 1, "parts": 1})
PYTHON
# seen: supervision 0.31.2 iscrowd: {'disc': 0, 'hole': 1, 'parts': 1}

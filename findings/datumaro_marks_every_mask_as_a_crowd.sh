#!/bin/sh
# datumaro writes every mask of COCO instances with iscrowd 1.
#
# Guessed: run lengths with iscrowd 0, as COCO has single objects. Seen: a polygon has iscrowd 0, a
# mask of one object iscrowd 1, whatever its form. Crowds are regions that training and scores leave
# out, so a data set of masks that went through datumaro has no object. Ends with an error if that
# has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datumaro==1.13.12
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import datumaro as dm
import numpy as np
from datumaro.components.annotation import Mask, Polygon
from datumaro.components.media import Image

folder = Path(sys.argv[1])
y, x = np.mgrid[:100, :100]
objects = [
    Mask((y - 60) ** 2 + (x - 60) ** 2 <= 900, label=0, id=1, group=1),
    Polygon([5, 5, 20, 5, 20, 20, 5, 20], label=0, id=2, group=2),
]
picture = Image.from_numpy(data=np.zeros((100, 100, 3), np.uint8))
item = dm.DatasetItem("a", subset="train", media=picture, annotations=objects)
dm.Dataset.from_iterable([item], categories=["cell"]).export(
    str(folder / "out"), "coco_instances", save_media=True
)
[file] = (folder / "out").rglob("instances_train.json")
rows = json.loads(file.read_text())["annotations"]
flags = {type(row["segmentation"]).__name__: row["iscrowd"] for row in rows}
print("datumaro", version("datumaro"), "iscrowd of run lengths (dict) and polygons (list):", flags)
sys.exit(flags != {"dict": 1, "list": 0})
PYTHON
# seen: datumaro 1.13.12 iscrowd of run lengths (dict) and polygons (list): {'dict': 1, 'list': 0}

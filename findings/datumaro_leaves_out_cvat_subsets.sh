#!/bin/sh
# datumaro reads no image of a CVAT file whose images name their subset.
#
# Guessed: the attribute "subset" of an image, which CVAT documents for exports of projects in
# "CVAT for images 1.1", becomes the subset of the item. Seen: the
# importer takes the name of the file, "annotations", for the only subset, and passes over every
# image that names another one, without an error or a warning: the data set is empty. Ends with an
# error if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datumaro==1.13.12
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro.components.dataset import Dataset
from PIL import Image

found = {}
for subset in (None, "Train"):
    folder = Path(sys.argv[1], str(subset))
    (folder / "images").mkdir(parents=True)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "images" / "a.png")
    said = f' subset="{subset}"' if subset else ""
    (folder / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task>'
        "<id>1</id><name>cells</name><size>1</size><mode>annotation</mode><labels><label>"
        "<name>cell</name><attributes></attributes></label></labels></task></meta>"
        f'<image id="0" name="a.png"{said} width="30" height="20"><polygon label="cell" '
        'source="manual" occluded="0" points="2,2;10,2;10,10;2,10" z_order="0"></polygon></image>'
        "</annotations>"
    )
    read = Dataset.import_from(str(folder), "cvat")
    found[subset] = [(item.id, item.subset, len(item.annotations)) for item in read]
print("datumaro", version("datumaro"), found)
sys.exit(found != {None: [("a", "annotations", 1)], "Train": []})
PYTHON

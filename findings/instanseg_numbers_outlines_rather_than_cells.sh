#!/usr/bin/env bash
# InstanSeg's outlines for QuPath carry a "Label" that is no cell's id, and an offset fills their holes.
# Guess before: with include_labels each outline has the id of its object, so that a table of measurements can be joined to it. Seen with
# instanseg-torch 0.1.2 (labels_to_features): the label is the number of the outline in the order in which they were traced, from 0.
# Of cells 3, 12 and 57, of which the first is in two parts, the labels are 0 to 3, and nothing in
# the file has the ids. With offset=, as for a tile of a slide, the ring around a hole loses the hole, and corners are cut to
# whole pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 einops==0.8.1 fastremap==1.21.0 matplotlib==3.10.3 tqdm==4.70.1 scikit-image==0.26.0 requests==2.34.2 pandas==2.3.3 rasterio==1.4.4 geojson==3.3.0 colorcet==3.2.1 tifffile==2026.3.3
"$folder/venv/bin/pip" install --quiet --no-deps instanseg-torch==0.1.2
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from instanseg.utils.utils import labels_to_features

labels = np.zeros((40, 60), np.int32)
labels[4:10, 30:36], labels[15:25, 15:25], labels[30:36, 4:10], labels[2:5, 2:5] = 57, 12, 3, 3
labels[18:21, 18:21] = 0
seen = {}
for offset in (None, (100, 200)):
    seen[offset] = []
    for shape in labels_to_features(labels, include_labels=True, offset=offset)["features"]:
        outline, *holes = shape["geometry"]["coordinates"]
        x, y = np.min(outline, axis=0).astype(int) - (offset or (0, 0))
        (measured,) = shape["properties"]["measurements"]
        seen[offset].append((int(labels[y, x]), measured["value"], len(holes)))
        print("offset", offset, "cell", seen[offset][-1][0], "has", measured, "and", len(holes), "holes")
expected = {None: [(3, 0, 0), (57, 1, 0), (12, 2, 1), (3, 3, 0)], (100, 200): [(3, 0, 0), (57, 1, 0), (12, 2, 0), (3, 3, 0)]}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# Outlines that spatialdata makes of labels lie half a pixel beside its own centroids, and holes are added to them.
# Guess before: to_polygons and get_centroids of the same labels, in the same coordinate system, agree, and an
# outline's area is that of the pixels. Seen with spatialdata 0.7.3: a square of pixels 5 to 14 has its centroid at
# 10 and its outline from 4.5 to 14.5, whose middle is 9.5; an object of 91 pixels around a hole of 9 becomes two
# parts, one of them the hole, with 108 in all; and rasterize, which undoes to_polygons, loses the object of one pixel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet spatialdata==0.7.3
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np
import spatialdata
from spatialdata.models import Labels2DModel

warnings.simplefilter("ignore")
labels = np.zeros((60, 80), np.uint32)
labels[5:15, 5:15] = 1
labels[30:40, 20:30] = 2
labels[33:36, 23:26] = 0
labels[40, 40] = 3
element = Labels2DModel.parse(labels, dims=("y", "x"))
outlines = spatialdata.to_polygons(element)
centroid = spatialdata.get_centroids(element).compute().loc[1, ["x", "y"]].tolist()
middle = outlines.geometry.loc[1].centroid
parts = outlines.geometry.loc[2]
drawn = spatialdata.rasterize(
    outlines, ["x", "y"], min_coordinate=[0, 0], max_coordinate=[80, 60],
    target_coordinate_system="global", target_unit_to_pixels=1, return_regions_as_labels=True,
)  # fmt: skip
left = len(np.unique(drawn.values)) - 1
print("square: centroid", centroid, "middle of its outline", [round(middle.x, 2), round(middle.y, 2)])
print("object with a hole:", int((labels == 2).sum()), "pixels;", parts.geom_type, "of area", parts.area)
print("objects drawn again:", left, "of 3")
seen = centroid, round(middle.x, 1), round(middle.y, 1), parts.geom_type, parts.area, left
same = seen == ([10.0, 10.0], 9.5, 9.5, "MultiPolygon", 108.0, 2)
print("as seen before" if same else f"changed: {seen}")
sys.exit(not same)
PY

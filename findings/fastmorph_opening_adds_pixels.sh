#!/usr/bin/env bash
# fastmorph's spherical opening makes every object larger, and its closing takes pixels away where two objects touch.
# Guess before: an opening never adds to an object and a closing never takes from one, as by scipy; two objects that touch may push each
# other. Seen with fastmorph 1.10.0: spherical_dilate takes distances up to the radius ("inclusive range", says its text), spherical_erode keeps
# those from the radius on, which is a layer less, so that by a radius of 1 nothing is eroded: a cube of 125 voxels is 125 after
# spherical_erode, 275 after spherical_open ("a spherical morphological open operation"), the same as after spherical_close; a voxel of noise,
# which an opening is to remove, is 7. closing, by a 3 x 3 x 3 block, erodes objects from each other where they touch, which its dilation
# cannot undo: of two blocks of 750 pixels side by side each has 720, and a gap of two pixels lies between them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fastmorph==1.10.0 edt==3.1.2 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import fastmorph
import numpy as np
from scipy import ndimage

cube = np.zeros((15, 15, 15), np.uint32)
cube[5:10, 5:10, 5:10] = 7
voxel = np.zeros_like(cube)
voxel[7, 7, 7] = 7
seen: dict[str, object] = {}
for name, labels in (("cube", cube), ("voxel", voxel)):
    for step in ("spherical_erode", "spherical_open", "spherical_close"):
        seen[f"{name} {step}"] = int((getattr(fastmorph, step)(labels, radius=1) > 0).sum())
    seen[f"{name} opened by scipy"] = int(ndimage.binary_opening(labels > 0).sum())
touching = np.zeros((40, 60), np.uint32)
touching[5:35, 5:30] = 5
touching[5:35, 30:55] = 3
closed = fastmorph.closing(touching)
seen["touching"] = [int((closed == number).sum()) for number in (5, 3)]
seen["gap"] = int((closed[20, 5:55] == 0).sum())
for name, found in seen.items():
    print(name, found)
expected = {
    "cube spherical_erode": 125,
    "cube spherical_open": 275,
    "cube spherical_close": 275,
    "cube opened by scipy": 81,
    "voxel spherical_erode": 1,
    "voxel spherical_open": 7,
    "voxel spherical_close": 7,
    "voxel opened by scipy": 0,
    "touching": [720, 720],
    "gap": 2,
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

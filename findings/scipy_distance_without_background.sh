#!/usr/bin/env bash
# scipy's distance transform of an image without background is the distance to a place outside of its first corner.
# Guess before: infinity or an error, since there is nothing to measure to; its text says nothing. Seen with scipy
# 1.17.1: distance_transform_edt gives the distance to row -1 of column 0, as though one background pixel lay there, so
# the middle of a cell that fills its crop is not the deepest, the last corner is; distance_transform_cdt gives -1 for
# the same, distance_transform_bf 1.3e154.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from scipy import ndimage

full, seen = np.ones((21, 31), bool), {}
transforms = {
    "edt": ndimage.distance_transform_edt,
    "cdt": ndimage.distance_transform_cdt,
    "bf": ndimage.distance_transform_bf,
}
for name, transform in transforms.items():
    distance = transform(full)
    deepest = tuple(int(place) for place in np.unravel_index(distance.argmax(), full.shape))
    seen[name] = float(f"{distance[0, 0]:.2g}"), float(f"{distance.max():.3g}"), deepest
    print(name, "first corner:", seen[name][0], "largest:", seen[name][1], "at", deepest)
outside = round(float(np.hypot(21, 30)), 1)
same = seen["edt"] == (1, outside, (20, 30)) and seen["cdt"][:2] == (-1, -1) and seen["bf"][0] > 1e100
print("as seen before" if same else f"changed: {seen}")
sys.exit(not same)
PY

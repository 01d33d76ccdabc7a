#!/usr/bin/env bash
# scikit-image's imread turns the axes of a label stack of three or four planes, and of a movie of as many planes.
# Guess before: the array that tifffile, which it reads with, gives of the same file; or planes taken for colors. Seen
# with scikit-image 0.26.0 and tifffile 2026.3.3: (3, 40, 50) and (4, 40, 50) come as (40, 50, 3) and (40, 50, 4), and a
# movie of 7 stacks of three planes as (7, 40, 50, 3), though the file says that its pages are planes (ZYX, minisblack);
# two and five planes stay (2, 40, 50) and (5, 40, 50). Planes then are columns: with the spacing (2, .5, .5) of Z, Y and
# X an object whose centroid is at (2, 5.75, 12.25) is at (23, 12.25, .5).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 tifffile==2026.3.3 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import tifffile
from skimage import io
from skimage.measure import regionprops

seen, places = {}, []
for shape, axes in (((2,), "ZYX"), ((3,), "ZYX"), ((4,), "ZYX"), ((5,), "ZYX"), ((7, 3), "TZYX")):
    labels = np.zeros((*shape, 40, 50), np.uint16)
    labels[..., 10:14, 10:40] = 1
    for kind, options in (("ome", {"ome": True}), ("imagej", {"imagej": True})):
        path = f"labels.{kind}.tif"
        tifffile.imwrite(path, labels, photometric="minisblack", metadata={"axes": axes}, **options)
        given = io.imread(path)
        seen[kind, shape] = given.shape == tifffile.imread(path).shape
        print(kind, labels.shape, "comes as", given.shape)
    if shape == (3,):
        for array in (labels, given):
            places.append([float(place) for place in regionprops(array, spacing=(2, 0.5, 0.5))[0].centroid])
expected = {key: key[1] in ((2,), (5,)) for key in seen}
print("centroid with spacing (2, .5, .5):", places[0], "as read:", places[1])
same = seen == expected and places == [[2, 5.75, 12.25], [23, 12.25, 0.5]]
print("as seen before" if same else "changed")
sys.exit(not same)
PY

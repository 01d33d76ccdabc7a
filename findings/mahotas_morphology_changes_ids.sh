#!/usr/bin/env bash
# mahotas' dilation raises every number by one, erosion lowers it, and its opening of labels in 32 bits ends in 2147483647.
# Guess before: the maximum, or minimum, of each pixel's neighbors, as scipy's and scikit-image's are, so that ids stay and an
# opening of objects 10 pixels wide changes little. Seen with mahotas 1.4.19: the structuring element, as it comes or of ones, is added as
# heights. Ids 1, 3 and 250 are 2, 4 and 251 after dilate and 0, 2 and 249 after erode, so that object 1 is gone; in int32 the background
# of a dilated image is 1, one more object, and of an opened one too, beside 2147483647. open in 8 bits loses
# object 1; close keeps ids. Binary images are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mahotas==1.4.19 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import mahotas
import numpy as np
from scipy import ndimage

labels, seen = np.zeros((40, 60), int), {}
labels[5:15, 5:15], labels[5:15, 20:30], labels[22:32, 20:30] = 1, 3, 250
print("scipy's erosion:", np.unique(ndimage.grey_erosion(labels, 3)), "dilation:", np.unique(ndimage.grey_dilation(labels, 3)))
for dtype in (np.uint8, np.int32):
    for way in (mahotas.erode, mahotas.dilate, mahotas.open, mahotas.close):
        found = way(labels.astype(dtype))
        seen[dtype.__name__, way.__name__] = np.unique(found).tolist(), int(found[0, 40]), int(found[10, 10])
        print(dtype.__name__, way.__name__, "values, of the background, of object 1:", *seen[dtype.__name__, way.__name__])
objects = mahotas.erode(labels > 0)
print("erosion of a binary image, wrong pixels:", (objects != ndimage.binary_erosion(labels > 0)).sum())
expected = {}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

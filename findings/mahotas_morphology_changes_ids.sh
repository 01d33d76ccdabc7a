#!/usr/bin/env bash
# mahotas' dilation raises every number by one, its erosion lowers it, and an opening of int32 labels makes background 2147483647.
# Guess before: the maximum, or minimum, of each pixel's neighbors, as scipy's and scikit-image's are, so that ids stay and an
# opening of objects 10 pixels wide changes little. Seen with mahotas 1.4.19: the structuring element, as it comes, is added as
# heights of one. Ids 1, 3 and 250 are 2, 4 and 251 after dilate, 0, 2 and 249 after erode, so that object 1 is gone, as it is
# after open in 8 bits; in int32 the background is -1 after erode, 1 after dilate, which is one more object, and 2147483647 after
# open. close keeps all, and binary images are right.
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
expected = {
    ("uint8", "erode"): ([0, 2, 249], 0, 0),
    ("uint8", "dilate"): ([0, 2, 4, 251], 0, 2),
    ("uint8", "open"): ([0, 3, 250], 0, 0),
    ("uint8", "close"): ([0, 1, 3, 250], 0, 1),
    ("int32", "erode"): ([-1, 0, 2, 249], -1, 0),
    ("int32", "dilate"): ([1, 2, 3, 4, 250, 251], 1, 2),
    ("int32", "open"): ([1, 3, 250, 2147483647], 2147483647, 1),
    ("int32", "close"): ([0, 1, 3, 250], 0, 1),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# scipy's watershed lets one of two seeds side by side flood over every wall, so that the other keeps little more than its own pixels.
# Guess before: seeds in two basins get a basin each, as by scikit-image's watershed, unless costs wrap in 16 bits. Seen with scipy
# 1.17.1 (watershed_ift; 1.11.4 was the same): of two basins that a wall of 200 parts the seed on the right has all but the
# other seed's own pixel; on the distance to two cells' middles the left one has 5995 of 6000; of four basins the two on the
# left go to the right ones but for the 25 pixels of their seeds. It is no matter of bits, or of the seeds' order; where
# the wall lies across, between upper and lower seed, and in an image of one row, each has its half.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

wall = np.zeros((40, 60), np.uint8)
wall[:, 28:32] = 200
y, x = np.mgrid[:60, :100]
distance = np.minimum(np.hypot(y - 30, x - 30), np.hypot(y - 30, x - 70)).astype(np.uint8)
blobs = [(row + i, column + j) for row in (10, 40) for column in (20, 70) for i in range(5) for j in range(5)]
seen = {}
for name, image, seeds in (
    ("wall", wall, [(20, 10), (20, 50)]),
    ("wall, seeds the other way around", wall, [(20, 50), (20, 10)]),
    ("distance", distance, [(30, 30), (30, 70)]),
    ("four blobs of seeds", np.where((abs(y - 30) < 3) | (abs(x - 50) < 3), 200, 0).astype(np.uint8), blobs),
    ("wall across", wall.T, [(10, 20), (50, 20)]),
    ("one row", wall[:1], [(0, 10), (0, 50)]),
):
    markers = np.zeros(image.shape, np.int32)
    markers[tuple(np.transpose(seeds))] = np.arange(len(seeds)) // (25 if len(seeds) > 2 else 1) + 1
    ours, theirs = ndimage.watershed_ift(image, markers), watershed(image, markers)
    seen[name] = np.bincount(ours.ravel())[1:].tolist()
    print(name, "sizes:", np.bincount(ours.ravel())[1:], "by scikit-image:", np.bincount(theirs.ravel())[1:])
expected = {
    "wall": [1, 2399],
    "wall, seeds the other way around": [2399, 1],
    "distance": [5995, 5],
    "four blobs of seeds": [25, 3261, 25, 2689],
    "wall across": [1240, 1160],
    "one row": [31, 29],
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

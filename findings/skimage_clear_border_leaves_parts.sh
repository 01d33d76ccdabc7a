#!/usr/bin/env bash
# scikit-image's clear_border leaves those parts of an object that do not touch the border themselves.
# Guess before: of labels each id that touches the border is gone, since its text clears objects; or parts are looked at
# one by one, as of a binary image. Seen with scikit-image 0.26.0: labels are numbered anew by what is connected, so of
# a cell whose two arms this plane cuts apart, one at the border, the other arm stays, as a whole cell of half its size;
# and the rest of a cell under another one, or of a cell of a volume whose plane is cleared alone, the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from skimage.segmentation import clear_border

labels = np.zeros((40, 60), np.uint16)
labels[10:20, 0:20] = 5  # a long cell that leaves the image on the left
labels[5:25, 12:16] = 9  # lies on it
labels[28:36, 30:40] = 7  # inside
cleared = clear_border(labels)
seen = {}
for number in (5, 7, 9):
    seen[number] = int((labels == number).sum()), int((cleared == number).sum())
    print("cell", number, "pixels:", seen[number][0], "left:", seen[number][1])
expected = {5: (160, 40), 7: (80, 80), 9: (80, 80)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

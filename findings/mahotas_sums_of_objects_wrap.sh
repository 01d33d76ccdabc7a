#!/usr/bin/env bash
# mahotas adds up the pixels of an object in the image's own type, and its maximum of negative pixels is about 0.
# Guess before: labeled_sum and labeled_max give, as they say, what np.sum and np.max give of the object's pixels.
# Seen with mahotas 1.4.19: the sum of 16 pixels of 200 in 8 bits is 128 rather than 3200, of 60000 in 16 bits 42496
# rather than 960000, so that means (sum by size) are wrong; the maximum of float pixels that are all negative, as
# after subtracting a background, is the smallest positive number, 2.2e-308.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mahotas==1.4.19 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import mahotas
import numpy as np

labels = np.zeros((20, 20), np.int32)
labels[10:14, 10:14] = 1
inside, seen = labels == 1, {}
for dtype, value in (("u1", 200), ("u2", 60000), ("f8", 200)):
    pixels = np.full(labels.shape, value, dtype)
    seen[dtype] = int(mahotas.labeled.labeled_sum(pixels, labels)[1])
    print("sum", dtype, seen[dtype], "numpy:", int(np.sum(pixels[inside])))
pixels = np.arange(400.0).reshape(20, 20) - 1000
seen["maximum"] = float(mahotas.labeled.labeled_max(pixels, labels)[1])
print("maximum", seen["maximum"], "numpy:", float(np.max(pixels[inside])))
expected = {"u1": 128, "u2": 42496, "f8": 3200, "maximum": float(np.finfo(float).tiny)}
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY

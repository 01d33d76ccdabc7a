#!/usr/bin/env bash
# nyxus gives an object's diameter squared, cuts off the fractions of its values, and a flat one's sum is 0.
# Guess before: an image of floats from 0 to 1 has means of 0, as nyxus counts in whole numbers, and its median is one of
# a histogram. Seen with nyxus 0.11.0 on arrays: the means are 0 (the median was right, of whole numbers); besides, the
# sum of 600 pixels of 1096 is 0; DIAMETER_EQUAL_AREA of 600 pixels is 763.9, the square of 27.6; the weighted centroid
# of a flat object is off by one from its centroid; a full rectangle has a solidity of .71. Of an image with negative
# values all are measured above its least one, and the caller's own array is changed to that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nyxus==0.11.0 numpy==2.4.6 pandas==3.1.1
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np
import nyxus

warnings.simplefilter("ignore")
labels = np.zeros((100, 100), np.uint32)
labels[10:30, 10:40], labels[60:80, 60:90] = 1, 2
noise = np.random.default_rng(0).uniform(0, 1, labels.shape)
images = {
    "flat, 16 bits": np.full(labels.shape, 1096, np.uint16),
    "floats of 0 to 1": noise.astype(np.float32),
    "floats of -500 to 500": (1000 * noise - 500).astype(np.float32),
}
asked = ["MEAN", "INTEGRATED_INTENSITY", "DIAMETER_EQUAL_AREA", "CENTROID_X", "WEIGHTED_CENTROID_X", "SOLIDITY"]
seen, changed = {}, {}
for name, image in images.items():
    inside = image[labels == 1].astype(float)
    given = image.copy()
    row = nyxus.Nyxus(asked).featurize(given[None], labels[None]).set_index("ROI_label").loc[1]
    seen[name] = {key: round(float(row[key]), 2) for key in asked}
    changed[name] = not np.array_equal(given, image)
    print(name, seen[name], "numpy: mean", round(inside.mean(), 2), "sum", round(inside.sum(), 1), "array changed:", changed[name])
flat, small, signed = seen.values()
checks = [
    flat["INTEGRATED_INTENSITY"] == 0 and flat["MEAN"] == 1096,
    abs(flat["DIAMETER_EQUAL_AREA"] - 4 * 600 / np.pi) < 0.1,
    small["MEAN"] == 0,
    signed["MEAN"] > 450 and changed["floats of -500 to 500"],
    flat["SOLIDITY"] < 0.8,
]
print("as seen before" if all(checks) else f"changed: {checks}")
sys.exit(not all(checks))
PY

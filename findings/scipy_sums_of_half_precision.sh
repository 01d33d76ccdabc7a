#!/usr/bin/env bash
# scipy puts the center of mass of an object at (0, 0), and its mean at infinity, where the image is of half precision.
# Guess before: an object has the same mean and center whether it is asked for as 1 or as [1], as numpy's mean of float16 adds in
# float32; or the sums of the former overflow. Seen with scipy 1.17.1: of a probability that is .25 and .75 in turns in 380 x
# 380 pixels, as a network in half precision gives it, index=1, and no index, give an infinite mean and a center at (0, 0);
# index=[1] gives .5 and the middle. The standard deviation, .25, is right in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np
from scipy import ndimage

warnings.simplefilter("ignore")
labels = np.zeros((400, 400), int)
labels[10:390, 10:390] = 1
probability = np.where(np.arange(400) % 2, 0.75, 0.25).astype(np.float16) * np.ones((400, 1), np.float16)
print("numpy's mean:", probability[labels == 1].mean())
seen = {}
for name, index in (("1", 1), ("[1]", [1])):
    for measure in (ndimage.mean, ndimage.standard_deviation, ndimage.center_of_mass):
        seen[name, measure.__name__] = np.round(np.ravel(measure(probability, labels, index)).astype(float), 2).tolist()
        print("index", name, measure.__name__, seen[name, measure.__name__])
expected = {
    ("1", "mean"): [float("inf")],
    ("1", "standard_deviation"): [0.25],
    ("1", "center_of_mass"): [0.0, 0.0],
    ("[1]", "mean"): [0.5],
    ("[1]", "standard_deviation"): [0.25],
    ("[1]", "center_of_mass"): [199.5, 199.75],
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# scikit-image's table of measurements cuts off fractions and all but the first letter of what an own property gives.
# Guess before: a column holds what the function returned, as the same region's attribute does. Seen with scikit-image
# 0.26.0: the type of the column is that of the function's value for a mask of one pixel, made up for this. A roundness
# that gives 1 there, since one pixel has no perimeter, is a whole number for all objects: .93 and .34 become 0;
# "small" and "large" become "s" and "l". Nothing is said, and regionprops itself gives .93 and "large".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from skimage.measure import perimeter, regionprops, regionprops_table


def roundness(mask: np.ndarray) -> float:
    around = perimeter(mask)
    return 4 * np.pi * mask.sum() / around**2 if around else 1


def size(mask: np.ndarray) -> str:
    return "small" if mask.sum() < 100 else "large"


y, x = np.mgrid[:60, :60]
labels = np.zeros((60, 60), np.uint16)
labels[(y - 20) ** 2 + (x - 20) ** 2 <= 144] = 1
labels[45:50, 5:45] = 2
labels[55:58, 50:55] = 3
own = [roundness, size]
table = regionprops_table(labels, properties=("label",), extra_properties=own)
each = regionprops(labels, extra_properties=own)
given = table["roundness"].tolist(), table["size"].tolist()
true = [round(float(region.roundness), 2) for region in each], [region.size for region in each]
print("roundness in the table:", given[0], "of regions:", true[0])
print("size in the table:", given[1], "of regions:", true[1])
same = given == ([int(value) for value in true[0]], [word[0] for word in true[1]]) and 0 < true[0][0] < 1
print("as seen before" if same else "changed")
sys.exit(not same)
PY

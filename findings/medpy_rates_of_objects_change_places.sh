#!/usr/bin/env bash
# MedPy's true positive rate of objects is 1 where half of the objects were missed, and its false positive rate is the share of the missed.
# Guess before: obj_tpr(result, reference) is the share of the reference's objects that were found, obj_fpr that of the result's objects which
# are none; an overlap of one pixel is enough, as their text says. Seen with medpy 0.5.2: of four objects of which two were found the rates are 1
# and .5, of two all of which were found, beside two false ones, .5 and 0. So what is called true positive rate is the precision, and what is
# called false positive rate counts what was missed: the text's first lines have it so ("in the second array do not exists in
# the first"), the lines on what is returned, and the notes, the other way ("in results have no corresponding object in reference").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet medpy==0.5.2 SimpleITK==2.5.7 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from medpy.metric.binary import obj_fpr, obj_tpr


def objects(count: int) -> np.ndarray:
    """The first ``count`` of four squares."""
    image = np.zeros((40, 40), bool)
    for number in range(count):
        row, column = 20 * (number // 2), 20 * (number % 2)
        image[row + 5 : row + 15, column + 5 : column + 15] = True
    return image


seen = {}
for name, result, reference in (("all found", 4, 4), ("two of four missed", 2, 4), ("two false beside two", 4, 2)):
    both = objects(result), objects(reference)
    seen[name] = float(obj_tpr(*both)), float(obj_fpr(*both))
    print(name, "true positive rate:", seen[name][0], "false positive rate:", seen[name][1])
expected = {"all found": (1, 0), "two of four missed": (1, 0.5), "two false beside two": (0.5, 0)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# scikit-image gives the precision of the adapted Rand error as its recall, and the recall as its precision.
# Guess before: as its text says, precision is the share of the pixel pairs that are together in the test image which
# are together in the true one, too, so that merging objects lowers it and splitting them lowers the recall. Seen with
# scikit-image 0.26.0: it is the other way around. Tiles merged two by two have precision 1 and recall .5 where
# counting all pairs gives .5 and 1; tiles cut in halves the reverse. The error itself is the same either way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from skimage.metrics import adapted_rand_error


def counted(true: np.ndarray, test: np.ndarray) -> list[float]:
    """Precision and recall, pair of pixels by pair."""
    first, second = (labels.ravel()[:, None] == labels.ravel()[None] for labels in (true, test))
    both = (first & second).sum() - true.size
    return [float(both / (pairs.sum() - true.size)) for pairs in (second, first)]


tiles = np.arange(1, 17).reshape(4, 4).repeat(8, axis=0).repeat(8, axis=1)
halves = 2 * tiles + (np.arange(32) // 4 % 2)
seen = {}
for name, test in (("merged", (tiles + 1) // 2), ("split", halves)):
    error, precision, recall = adapted_rand_error(tiles, test)
    seen[name] = [round(float(precision), 2), round(float(recall), 2)], [round(v, 2) for v in counted(tiles, test)]
    print(name, "precision, recall:", seen[name][0], "counted:", seen[name][1], "error", round(float(error), 3))
same = all(given == true[::-1] and given != true for given, true in seen.values())
same &= seen["merged"][0][0] == 1 and seen["split"][0][1] == 1
print("as seen before" if same else "changed")
sys.exit(not same)
PY

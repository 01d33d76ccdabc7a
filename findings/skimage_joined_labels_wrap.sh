#!/usr/bin/env bash
# scikit-image joins label images in their own integer type, so that parts of different objects get one id.
# Guess before: an id a pair of ids, as its text says, in a type that holds them all; or ids that wrap, since they are
# numbered by a product. Seen with scikit-image 0.26.0: of two uint16 images of 1000 cells, whose cells overlap in 4117
# pairs, 120 ids of the join hold several pairs, pieces far from each other, with no word; of two of 100 in uint8 136
# of 200 do. In int64 the same are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from scipy.spatial import cKDTree
from skimage.segmentation import join_segmentations


def cells(count: int, seed: int) -> np.ndarray:
    """(400, 400) ids of ``count`` cells that fill the image, each pixel its nearest center's."""
    centers = np.random.default_rng(seed).uniform(0, 400, (count, 2))
    pixels = np.stack(np.mgrid[:400, :400], axis=-1)
    return cKDTree(centers).query(pixels)[1] + 1


def mixed(first: np.ndarray, second: np.ndarray, dtype: str) -> tuple[int, int, int]:
    """Pairs of ids that overlap, ids of the join, and how many of these hold several pairs."""
    pairs = np.stack([first.ravel(), second.ravel()], axis=1)
    joined = join_segmentations(first.astype(dtype), second.astype(dtype)).ravel()
    both = np.unique(np.column_stack([joined, pairs]), axis=0)
    numbers, held = np.unique(both[:, 0], return_counts=True)
    return len(np.unique(pairs, axis=0)), len(numbers), int((held > 1).sum())


seen = {}
for count, dtype in ((100, "uint8"), (1000, "uint16"), (1000, "int64")):
    pairs, numbers, several = mixed(cells(count, 0), cells(count, 1), dtype)
    seen[dtype] = pairs, numbers, several
    print(count, "and", count, dtype, pairs, "pairs of ids,", numbers, "ids,", several, "of several pairs")
few = {key: several > 0 for key, (_, _, several) in seen.items()}
expected = {"uint8": True, "uint16": True, "int64": False}
print("as seen before" if few == expected else f"changed: {few}")
sys.exit(few != expected)
PY

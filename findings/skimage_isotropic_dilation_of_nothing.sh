#!/usr/bin/env bash
# scikit-image's isotropic dilation makes an object in the first corner of an image that has none.
# Guess before: of an empty mask nothing, and of a full one's erosion all but what the border takes, as dilation and erosion by a disk
# give. Seen with scikit-image 0.26.0 and scipy 1.17.1: both are a threshold on scipy's distance transform, which, without a pixel
# to measure to, measures to one outside of the first corner. So isotropic_dilation of an empty mask by a radius of 3 has 7 pixels, by
# 8 49 of 81, of a volume by 3 18 voxels; isotropic_erosion of a cell that fills its crop cuts off that corner alone. In a
# movie or a loop over channels each empty frame gets a false object, at the same place. expand_labels has none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from skimage.morphology import dilation, disk, erosion, isotropic_dilation, isotropic_erosion
from skimage.segmentation import expand_labels

nothing = np.zeros((9, 9), bool)
seen = {
    "dilation by a disk of 3": dilation(nothing, disk(3)).sum(),
    "erosion of all by a disk of 3": erosion(~nothing, disk(3)).sum(),
    "isotropic_dilation by 3": isotropic_dilation(nothing, 3).sum(),
    "isotropic_dilation by 8": isotropic_dilation(nothing, 8).sum(),
    "isotropic_dilation of a volume by 3": isotropic_dilation(np.zeros((9, 9, 9), bool), 3).sum(),
    "isotropic_erosion of all by 3": isotropic_erosion(~nothing, 3).sum(),
    "expand_labels by 3": (expand_labels(nothing.astype(int), 3) > 0).sum(),
}
for name, count in seen.items():
    print(name, "of 9 pixels a side:", count, "pixels")
print(isotropic_dilation(nothing, 3).astype(int))
expected = dict(zip(seen, (0, 81, 7, 49, 18, 74, 0), strict=True))
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# StarDist's scores by image are 0 for an image without objects in which nothing was found, and cellpose's are NaN.
# Guess before: such an image is left out of a mean, or counts as right. Seen with stardist 0.9.2 and cellpose 4.2.1.1:
# matching_dataset(by_image=True) of one perfect image and one empty one gives precision, recall, F1, accuracy and PQ of
# .5; by_image=False gives 1, so that the two means of a perfect result differ by the share of empty images.
# cellpose's average_precision is NaN there, and with it the mean of any set that has such an image.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 stardist==0.9.2 scipy==1.17.1 \
  fill-voids==2.1.2 fastremap==1.21.0 opencv-python-headless==5.0.0.93 tqdm==4.70.1 natsort==8.4.0 \
  tifffile==2026.3.3 roifile==2026.2.10
"$folder/venv/bin/pip" install --quiet --no-deps cellpose==4.2.1.1
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
from cellpose.metrics import average_precision
from stardist.matching import matching_dataset

labels = np.zeros((50, 50), np.int32)
labels[5:20, 5:20], labels[30:45, 30:45] = 1, 2
images = [labels, np.zeros_like(labels)]
seen = {}
for by_image in (True, False):
    scores = matching_dataset(images, images, thresh=0.5, by_image=by_image, show_progress=False)
    seen[by_image] = [float(getattr(scores, name)) for name in ("precision", "recall", "f1", "panoptic_quality")]
    print("stardist, by image" if by_image else "stardist, pooled", seen[by_image])
precision = average_precision(images, images, threshold=[0.5])[0].ravel()
print("cellpose AP by image", precision.tolist(), "mean", precision.mean())
same = seen == {True: [0.5] * 4, False: [1.0] * 4} and np.isnan(precision.mean()) and precision[0] == 1
print("as seen before" if same else "changed")
sys.exit(not same)
PY

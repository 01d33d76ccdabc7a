#!/usr/bin/env bash
# panoptica measures distances in SimpleITK images with the width of voxels as their depth, and their depth as their width.
# Guess before: the same distances of one volume, whether it comes as SimpleITK images or as arrays with their spacing.
# Seen with panoptica 2.1.7 and SimpleITK 2.5.7: the image's spacing is of x, y and z, the array's axes are z, y and x, and
# neither is turned. In voxels .5 wide and 3 deep an object that is one plane off has a Hausdorff distance of .5 rather
# than 3, and one that is a pixel to the side 3 rather than .5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet panoptica==2.1.7 simpleitk==2.5.7 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import SimpleITK as sitk
from panoptica import InputType, Metric, NaiveThresholdMatching, Panoptica_Evaluator, disable_citation_reminder

disable_citation_reminder()
judge = Panoptica_Evaluator(
    expected_input=InputType.UNMATCHED_INSTANCE,
    instance_matcher=NaiveThresholdMatching(),
    instance_metrics=[Metric.DSC, Metric.HD, Metric.ASSD],
)
size, seen = (3.0, 0.5, 0.5), {}
true = np.zeros((20, 40, 40), np.uint8)
true[6:12, 10:30, 10:30] = 1
for axis in range(3):
    found = np.roll(true, 1, axis)
    given = judge.evaluate(found, true, voxelspacing=size)["ungrouped"]
    images = [sitk.GetImageFromArray(array) for array in (found, true)]
    for image in images:
        image.SetSpacing(size[::-1])
    other = judge.evaluate(*images)["ungrouped"]
    seen["zyx"[axis]] = round(float(given.sq_hd), 2), round(float(other.sq_hd), 2)
    print("off by a voxel along", "zyx"[axis], "Hausdorff distance, arrays:", seen["zyx"[axis]][0], "SimpleITK:", seen["zyx"[axis]][1])
expected = {"z": (3.0, 0.5), "y": (0.5, 0.5), "x": (0.5, 3.0)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

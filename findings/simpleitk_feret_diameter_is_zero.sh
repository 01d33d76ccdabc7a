#!/usr/bin/env bash
# SimpleITK says that an object's Feret diameter, and its oriented box, are 0 where nobody asked for them beforehand.
# Guess before: a getter computes what it gives, as GetPerimeter and GetRoundness beside it do, or raises an error.
# Seen with SimpleITK 2.5.7: GetFeretDiameter gives 0.0 and GetOrientedBoundingBoxSize (0.0, 0.0) of an object of
# 10 x 30 pixels; with ComputeFeretDiameterOn and ComputeOrientedBoundingBoxOn 30.4 and (10, 30).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet simpleitk==2.5.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import SimpleITK as sitk

labels, seen = np.zeros((40, 60), np.uint16), {}
labels[5:15, 5:35] = 1
for asked in (False, True):
    shape = sitk.LabelShapeStatisticsImageFilter()
    if asked:
        shape.ComputeFeretDiameterOn()
        shape.ComputeOrientedBoundingBoxOn()
    shape.Execute(sitk.GetImageFromArray(labels))
    box = sorted(round(side, 3) for side in shape.GetOrientedBoundingBoxSize(1))
    seen[asked] = round(shape.GetFeretDiameter(1), 1), box
    print("asked for" if asked else "not asked for", "Feret", seen[asked][0], "box", box,
          "pixels", shape.GetNumberOfPixels(1), "perimeter", round(shape.GetPerimeter(1), 1))
same = seen == {False: (0.0, [0.0, 0.0]), True: (30.4, [10.0, 30.0])}
print("as seen before" if same else "changed")
sys.exit(not same)
PY

#!/usr/bin/env bash
# QuBaLab's objects are a row and a column larger as labels than the labels that they were made of.
# Guess before: labels to features to labels is what it was, where objects do not overlap; or an edge pixel more here and
# there. Seen with qubalab 0.2.1 (QuPath's own bridge to Python): ImageFeature.create_from_label_image outlines the pixels
# exactly, and LabeledImageServer, which draws them, includes what lies on the outline. Of two squares of 100 that touch
# the first has 110 and the second 121, the column where they meet is the second's, a single pixel has 4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet qubalab==0.2.1 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from qubalab.images.labeled_server import LabeledImageServer
from qubalab.images.metadata.image_metadata import ImageMetadata
from qubalab.images.metadata.image_shape import ImageShape
from qubalab.images.metadata.pixel_calibration import PixelCalibration
from qubalab.objects.image_feature import ImageFeature
from shapely.geometry import shape

labels = np.zeros((60, 60), np.uint8)
labels[5:15, 5:15] = 1
labels[5:15, 15:25] = 2
labels[40, 40] = 3
features = ImageFeature.create_from_label_image(labels, include_labels=True)
about = ImageMetadata("x", "x", (ImageShape(60, 60),), PixelCalibration(), False, np.uint8)
drawn = np.asarray(LabeledImageServer(about, features).read_region())[0]
seen = {}
for place, feature in enumerate(features, start=1):
    number = int(feature.measurements["Label"])
    seen[number] = int((labels == number).sum()), shape(feature.geometry).area, int((drawn == place).sum())
    print("object", number, "pixels", seen[number][0], "area of its outline", seen[number][1], "drawn", seen[number][2])
expected = {1: (100, 100.0, 110), 2: (100, 100.0, 121), 3: (1, 1.0, 4)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

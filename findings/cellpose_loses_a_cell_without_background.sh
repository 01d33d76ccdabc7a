#!/usr/bin/env bash
# cellpose's average precision is above 1 where cells fill the whole image, with a false positive less than none.
# Guess before: 1 for a result equal to the truth, whatever they cover; or the first id taken for background. Seen with
# cellpose 4.2.1.1: objects are counted as the values in the image less one, be there a 0 among them or not. 25 cells that
# fill an image, as in tissue or a cropped one, and all are found: 25 true positives, -1 false positives, -1 missed, AP
# 1.087. A result that is right but for its background gets .833 rather than .8. outlines_list leaves the first cell's
# outline out for the same reason, so that the ROIs that save_rois writes are 24 of 25.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 scipy==1.17.1 fill-voids==2.1.2 \
  fastremap==1.21.0 opencv-python-headless==5.0.0.93 tqdm==4.70.1 natsort==8.4.0 tifffile==2026.3.3 roifile==2026.2.10
"$folder/venv/bin/pip" install --quiet --no-deps cellpose==4.2.1.1
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
from cellpose.metrics import average_precision
from cellpose.utils import outlines_list

full = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((8, 8), int))
framed = np.pad(full, 1)
holed = np.where(full > 5, full, 0)
seen = {}
for name, true, found in (("fill it", full, full), ("with a frame", framed, framed), ("five are missed", full, holed)):
    precision, hits, extra, missed = (float(values[0][0]) for values in average_precision([true], [found], [0.5]))
    outlines = len(outlines_list(true))
    seen[name] = round(precision, 3), int(hits), int(extra), int(missed), outlines
    print("25 cells,", name, "AP", seen[name][0], "true", hits, "false", extra, "missed", missed, "outlines", outlines)
expected = {"fill it": (1.087, 25, -1, -1, 24), "with a frame": (1.0, 25, 0, 0, 25)}
expected["five are missed"] = 0.833, 20, 0, 4, 24
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

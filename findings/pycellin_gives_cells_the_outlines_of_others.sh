#!/usr/bin/env bash
# pycellin gives a track's outlines, of all frames, to one cell of whichever track, and most cells none.
# Guess before: a cell of a Cell Tracking Challenge folder has the outline of its own mask, about the centroid that it has. Seen with
# pycellin 0.5.1 (load_CTC_file with labels): outlines are stored at the cell whose number is the track's id, over one another. Of a track 1
# of discs 9 pixels wide and a track 2 of discs 19 to 23 wide, three frames each, the second and third cell of track 1 have an outline, 9
# and 23 wide, where both are 9, and the three of track 2 none. Widths and lengths that are measured on it are another cell's. Centroids are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycellin==0.5.1 tifffile==2026.3.3 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
from pathlib import Path

import numpy as np
import tifffile
from pycellin import load_CTC_file

y, x = np.mgrid[:60, :90]
Path("masks").mkdir()
for t in range(3):
    labels = np.zeros((60, 90), np.uint16)
    labels[(y - 20) ** 2 + (x - 20) ** 2 <= 4**2] = 1
    labels[(y - 40) ** 2 + (x - 60) ** 2 <= (9 + t) ** 2] = 2
    tifffile.imwrite(f"masks/mask{t:03d}.tif", labels)
Path("masks/res_track.txt").write_text("1 0 2 0\n2 0 2 0\n")
sizes = {"space_unit": "pixel", "pixel_width": 1.0, "pixel_height": 1.0, "pixel_depth": 1.0}
model = load_CTC_file("masks/res_track.txt", "masks", **sizes)
seen = []
for lineage in model.data.cell_data.values():
    for _, cell in sorted(lineage.nodes(data=True), key=lambda item: item[1]["frame"]):
        across = [point[0] for point in cell.get("ROI_coords") or []]
        wide = max(across) - min(across) if across else None
        seen.append((cell["cell_x"], cell["cell_y"], cell["frame"], wide))
seen.sort()
true = {20.0: (9, 9, 9), 60.0: (19, 21, 23)}
for left, top, frame, wide in seen:
    print("centroid", (left, top), "frame", frame, "disc", true[left][frame], "wide, outline:", wide)
expected = [(20.0, 20.0, 0, None), (20.0, 20.0, 1, 9.0), (20.0, 20.0, 2, 23.0), *((60.0, 40.0, t, None) for t in range(3))]
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

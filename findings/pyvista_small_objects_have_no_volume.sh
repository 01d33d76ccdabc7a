#!/usr/bin/env bash
# pyvista's surfaces of labels lose a tenth of a nucleus' volume, nine tenths of a small object's, and all of a voxel's.
# Guess before: contour_labels smooths the steps of voxels, and volumes stay to some percent. Seen with pyvista 0.49.1 and vtk
# 9.7.2: smoothing is on, by a length in voxels whatever the object's size, so that a ball of 4169 voxels has a volume of 3841, a
# block of 1000 one of 801, one of 32 voxels 3.1, and a single voxel's surface is a point. With smoothing=False all have as much volume
# as voxels. So volumes and densities measured on these meshes depend on the object's size, and small ones are not seen in a picture.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyvista==0.49.1 vtk==9.7.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import pyvista

z, y, x = np.mgrid[:30, :30, :30]
objects = {
    "block": (10 <= np.minimum(np.minimum(x, y), z)) & (np.maximum(np.maximum(x, y), z) < 20),
    "ball": (x - 15) ** 2 + (y - 15) ** 2 + (z - 15) ** 2 <= 100,
    "2 x 4 x 4 voxels": (abs(z - 14.5) < 1) & (abs(y - 14.5) < 2) & (abs(x - 14.5) < 2),
    "voxel": (x == 15) & (y == 15) & (z == 15),
}
seen = {}
for name, mask in objects.items():
    grid = pyvista.wrap(mask.astype(np.uint8))
    smooth, plain = grid.contour_labels(), grid.contour_labels(smoothing=False)
    seen[name] = int(mask.sum()), round(smooth.volume, 1), round(plain.volume, 1)
    print(name, "voxels, volume, volume without smoothing:", *seen[name], "x from", round(smooth.bounds[0], 2), plain.bounds[0])
expected = {
    "block": (1000, 801.4, 1000.0),
    "ball": (4169, 3841.1, 4169.0),
    "2 x 4 x 4 voxels": (32, 3.1, 32.0),
    "voxel": (1, 0.0, 1.0),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

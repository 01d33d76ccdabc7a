#!/usr/bin/env bash
# trimesh gives the surface of a voxel grid in voxels, where its volume, points, bounds and boxes are in the grid's units.
# Guess before: marching_cubes of a grid with voxels 2 x .5 x .5 that starts at 100 lies where its points do, and its
# volume is about the grid's. Seen with trimesh 5.2.0: the grid's scale and place are left out, an object of 1000 from
# 109 to 129 is one of 1981 from 4.5 to 14.5; as_boxes(), beside it, has 1000 and the right place. So meshes that were
# exported for printing or measured in µm are of another size, and unequal axes come out as equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet trimesh==5.2.0 scikit-image==0.26.0 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import trimesh

mask = np.zeros((20, 30, 40), bool)
mask[5:15, 10:20, 10:30] = True
place = np.diag([2.0, 0.5, 0.5, 1])
place[:3, 3] = 100
grid = trimesh.voxel.VoxelGrid(mask, transform=place)
mesh = grid.marching_cubes
boxes = grid.as_boxes()
seen = {}
for name, body in (("grid", grid), ("boxes", grid.as_boxes()), ("marching cubes", grid.marching_cubes)):
    seen[name] = round(float(body.volume)), [round(float(side), 1) for side in body.bounds[:, 0]]
    print(name, "volume:", seen[name][0], "from and to along the first axis:", seen[name][1])
true = 1000, [109.0, 129.0]
expected = {"grid": true, "boxes": true, "marching cubes": (1981, [4.5, 14.5])}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

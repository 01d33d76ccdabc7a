#!/usr/bin/env bash
# SimpleITK gives the voxels of an MRC map whose axes are turned the size of other axes.
# Guess before: a spacing for each axis of the array, whichever of the cell's axes the map says it is; or the cell's x, y and z
# for columns, rows and sections as they come. Seen with SimpleITK 2.5.7, gemmi 0.7.5 and mrcfile 1.5.4, which calls the file
# valid: of a map whose columns run along z (MAPC 3, MAPR 2, MAPS 1) in voxels 1 x 2 x 3, gemmi turns the array to x, y and z and
# has 1, 2 and 3; SimpleITK leaves the array and says that columns are 1 wide, where they are 3, and sections 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 gemmi==0.7.5 mrcfile==1.5.4 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import gemmi
import mrcfile
import numpy as np
import SimpleITK

seen = {}
for name, order in (("straight", (1, 2, 3)), ("turned", (3, 2, 1))):
    with mrcfile.new(f"{name}.mrc") as file:
        file.set_data(np.arange(120, dtype=np.int16).reshape(4, 5, 6))  # sections, rows, columns
        counts = dict(zip(order, (6, 5, 4), strict=True))  # of voxels along x, y and z
        header = file.header
        header.mapc, header.mapr, header.maps = order
        header.mx, header.my, header.mz = (counts[axis] for axis in (1, 2, 3))
        header.cella = tuple(float(counts[axis] * axis) for axis in (1, 2, 3))  # voxels of 1 x 2 x 3
    valid = mrcfile.validate(f"{name}.mrc")
    image = SimpleITK.ReadImage(f"{name}.mrc")
    map_ = gemmi.read_ccp4_map(f"{name}.mrc", setup=True)
    seen[name] = valid, image.GetSize(), image.GetSpacing(), map_.grid.shape, tuple(round(size, 3) for size in map_.grid.spacing)
    print(name, "SimpleITK:", *seen[name][1:3], "gemmi:", *seen[name][3:])
expected = {
    "straight": (True, (6, 5, 4), (1.0, 2.0, 3.0), (6, 5, 4), (1.0, 2.0, 3.0)),
    "turned": (True, (6, 5, 4), (1.0, 2.0, 3.0), (4, 5, 6), (1.0, 2.0, 3.0)),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

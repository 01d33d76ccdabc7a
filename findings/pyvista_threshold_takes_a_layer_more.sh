#!/usr/bin/env bash
# pyvista's threshold of labels by an object's id gives it a layer of half a voxel more on every side, or half a voxel less.
# Guess before: an object of 1000 voxels has a volume of 1000, and two that touch share nothing. Seen with pyvista 0.49.1 and vtk 9.7.2:
# wrap() takes voxels for points, so that what threshold picks are the cubes between them: 1331 of 1000, and with all_scalars=True
# 729; of two blocks that touch both have 1331, and the layer where they meet is in both. Where the labels are set as cell_data of a
# grid with one point more along each axis, each has 1000, and they share nothing.
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

labels = np.zeros((30, 30, 30), np.uint8)
labels[5:15, 5:15, 5:15], labels[15:25, 5:15, 5:15] = 1, 2
cells = pyvista.ImageData(dimensions=(31, 31, 31))
cells.cell_data["labels"] = labels.ravel(order="F")
seen = {}
for name, grid, options in (
    ("wrap", pyvista.wrap(labels), {}),
    ("wrap, all_scalars", pyvista.wrap(labels), {"all_scalars": True}),
    ("cell_data", cells, {}),
):
    first, second = (grid.threshold([number, number], **options) for number in (1, 2))
    shared = first.bounds[1] - second.bounds[0]
    seen[name] = round(first.volume), round(second.volume), round(shared)
    print(name, "volumes:", *seen[name][:2], "first to x", first.bounds[1], "second from", second.bounds[0])
expected = {"wrap": (1331, 1331, 1), "wrap, all_scalars": (729, 729, -1), "cell_data": (1000, 1000, 0)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

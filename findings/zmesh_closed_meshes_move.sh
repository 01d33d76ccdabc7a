#!/usr/bin/env bash
# zmesh moves every mesh by one voxel along each axis where it is asked to close those at the volume's edge.
# Guess before: close=True adds the missing side to objects that touch the edge, and leaves the rest where it is.
# Seen with zmesh 1.15.0: an object that touches no edge moves by (2, 1, 1) where voxels are 2 x 1 x 1, so that its
# middle is no longer that of its voxels; one at the edge moves alike. Measured on meshes, or laid over the image,
# closed and open ones disagree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zmesh==1.15.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from zmesh import Mesher

size = np.array([2.0, 1.0, 1.0])
labels, seen = np.zeros((12, 20, 30), np.uint32), {}
labels[4:8, 12:18, 20:28] = 1  # inside
labels[0:3, 3:9, 4:14] = 2  # at the edge
for close in (False, True):
    mesher = Mesher(tuple(size))
    mesher.mesh(labels, close=close)
    for number in (1, 2):
        vertices = mesher.get(number).vertices
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        places = np.argwhere(labels == number)
        true = (places.min(axis=0) + places.max(axis=0)) / 2 * size
        seen[number, close] = (middle - true).round(2).tolist()
        print("closed" if close else "open", "object", number, "middle", middle.tolist(), "of its voxels", true.tolist())
same = seen[1, False] == [0, 0, 0] and seen[1, True] == [2, 1, 1] and seen[2, True] == [2, 1, 1]
print("as seen before" if same else f"changed: {seen}")
sys.exit(not same)
PY

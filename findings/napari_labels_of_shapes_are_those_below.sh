#!/usr/bin/env bash
# napari's labels of drawn shapes give each overlap to the shape below, which nobody sees there.
# Guess before: to_labels, which "Convert to Labels" calls, gives a pixel to the shape that is shown on top, as its text says
# that it respects their order. Seen with napari 0.9.2: of two squares that overlap the second is shown above, and is what
# a click there selects; to_labels gives the overlap to the first, and with a higher z_index for the first to the second.
# So a cell that was drawn over another one's edge has that edge cut out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet napari==0.9.2 numpy==2.4.6
cd "$folder"
export HOME="$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
from napari.layers import Shapes

first = np.array([[10, 10], [10, 20], [20, 20], [20, 10]], float)
seen = {}
for order in ([0, 0], [0, 1], [1, 0]):
    layer = Shapes([first, first + 5], shape_type="polygon", z_index=order)
    labels = layer.to_labels((40, 40))
    seen[tuple(order)] = int(layer.get_value((17, 17))[0]) + 1, int(labels[17, 17])
    sizes = np.bincount(labels.ravel(), minlength=3)[1:].tolist()
    print("z_index", order, "a click finds", seen[tuple(order)][0], "the label is", seen[tuple(order)][1], "sizes", sizes)
expected = {(0, 0): (2, 1), (0, 1): (2, 1), (1, 0): (1, 2)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# ncolor gives some cells that touch one color, though it has others, so that they are one where colors are taken apart.
# Guess before: cells that share an edge of a pixel differ, as its text says of its default, and those that touch at a
# corner may not. Seen with ncolor 2.3.0: of 1000 cells that fill 800 x 800 pixels 8 pairs that share an edge have the same
# of four colors; with expand=False or expand_mode="standard", which draw four as well, none has. Before it looks for
# neighbors the default drops thin places where cells meet, so only short contacts, of one to three pixels, are missed;
# connected components of each color, the way back to cells, have 8 objects too few.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ncolor==2.3.0 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import ncolor
import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree


def touching(cells: np.ndarray, colors: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of ids that share an edge of a pixel and have one color."""
    pairs = set()
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        same = (cells[one] != cells[other]) & (colors[one] == colors[other])
        low, high = np.minimum(cells[one], cells[other])[same], np.maximum(cells[one], cells[other])[same]
        pairs |= set(zip(low.tolist(), high.tolist()))
    return pairs


centers = np.random.default_rng(0).uniform(0, 800, (1000, 2))
cells = (cKDTree(centers).query(np.stack(np.mgrid[:800, :800], axis=-1))[1] + 1).astype(np.int32)
before = sum(label(cells == number)[1] for number in range(1, 1001))
seen = {}
for options in ({}, {"expand": False}, {"expand_mode": "standard"}):
    colors = ncolor.label(cells.copy(), **options)
    parts = sum(label(colors == color)[1] for color in np.unique(colors))
    name = ", ".join(options) or "default"
    seen[name] = len(np.unique(colors)), len(touching(cells, colors)) > 0, parts < before
    print(name, seen[name][0], "colors,", len(touching(cells, colors)), "pairs alike,", parts, "parts of", before)
expected = {"default": (4, True, True), "expand": (4, False, False), "expand_mode": (4, False, False)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# cellpose's aggregated Jaccard index is higher than the published one: a wrong pixel between two objects counts once.
# Guess before: the index of Kumar et al. (2017), which is the sum of intersections by the sum of each pair's union and
# of the objects that nobody matched; or less, as it pairs objects one to one. Seen with cellpose 4.2.1.1: its divisor
# is the number of pixels that are foreground in either image, however many objects they are wrong for. Tiles that are
# shifted by half their width have .5 rather than .29, one of two discs merged .94 rather than .89; discs apart from
# each other have the published value.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 scipy==1.17.1 fill-voids==2.1.2 \
  fastremap==1.21.0 opencv-python-headless==5.0.0.93 tqdm==4.70.1 natsort==8.4.0 tifffile==2026.3.3 roifile==2026.2.10
"$folder/venv/bin/pip" install --quiet --no-deps cellpose==4.2.1.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from cellpose.metrics import aggregated_jaccard_index


def published(true: np.ndarray, found: np.ndarray) -> float:
    """Kumar et al. 2017, algorithm 1, object by object."""
    shared, total, left = 0, 0, set(np.unique(found[found > 0]).tolist())
    used = set()
    for number in np.unique(true[true > 0]):
        pairs = []
        for other in left:
            both = int(((true == number) & (found == other)).sum())
            pairs.append((both / ((true == number) | (found == other)).sum(), both, other))
        _, both, best = max(pairs)
        shared += both
        total += int(((true == number) | (found == best)).sum())
        used.add(best)
    return shared / (total + sum(int((found == other).sum()) for other in left - used))


tiles = np.arange(1, 17).reshape(4, 4).repeat(10, axis=0).repeat(10, axis=1)
y, x = np.mgrid[:100, :100]
discs = np.zeros((100, 100), int)
for number, (row, column) in enumerate(np.ndindex(4, 4), 1):
    discs[(y - 24 * row - 12) ** 2 + (x - 24 * column - 12) ** 2 <= 49] = number
cases = {
    "tiles shifted by half": (tiles, np.roll(tiles, 5, axis=1)),
    "two discs merged": (discs, np.where(discs == 2, 1, discs)),
    "discs shifted": (discs, np.roll(discs, (3, 3), axis=(0, 1))),
}
seen = {}
for name, (true, found) in cases.items():
    seen[name] = [round(float(value), 2) for value in (aggregated_jaccard_index([true], [found])[0], published(true, found))]
    print(name, "cellpose, published:", seen[name])
expected = {"tiles shifted by half": [0.5, 0.29], "two discs merged": [0.94, 0.89], "discs shifted": [0.45, 0.45]}
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY

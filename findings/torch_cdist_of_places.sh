#!/usr/bin/env bash
# torch's distance between two cells one pixel apart is 0, or 11, or 64, as soon as more than 25 cells are compared.
# Guess before: distances of float32 places to float32's rounding, a thousandth of a pixel at 20000; or to a pixel there,
# as cdist may multiply matrices. Seen with torch 2.13.0+cpu: with up to 25 places each distance is right; from 26 on it
# is the root of a difference of squares, so that of cells one pixel apart some are at 0 and some at 2 in a part of an
# image that begins at 2000, at 0 and 11 where it begins at 20000, at 0 and 64 at 100000. Of 2500 cells 20 pixels apart
# at 20000, linked to those of the next frame, which lie one pixel on, 7 go to another cell. compute_mode=
# "donot_use_mm_for_euclid_dist" is right with any number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import torch
from scipy.spatial import cKDTree

EXACT = "donot_use_mm_for_euclid_dist"


def apart(count: int, start: float, mode: str = "use_mm_for_euclid_dist_if_necessary") -> tuple[float, float]:
    """The least and the largest distance that is given for ``count`` pairs of places that are 1 apart."""
    places = (np.random.default_rng(0).uniform(0, 1000, (count, 2)) + start).astype(np.float32)
    given = torch.cdist(torch.from_numpy(places), torch.from_numpy(places + np.float32([1, 0])), compute_mode=mode)
    return float(given.diagonal().min()), float(given.diagonal().max())


wrong = {}
for count, start in ((25, 100000), (26, 2000), (26, 20000), (26, 100000)):
    given, exact = apart(count, start), apart(count, start, EXACT)
    wrong[count, start] = max(given) - min(given) > 1, max(exact) - min(exact) > 1e-3
    print(count, "pairs 1 apart, from", start, "on: distances from", *(f"{end:.1f}" for end in given), "exact:", exact)
grid = np.stack(np.mgrid[:50, :50], axis=-1).reshape(-1, 2) * 20 + 20000
cells = (grid + np.random.default_rng(1).uniform(-5, 5, grid.shape)).astype(np.float32)
later = cells + np.float32([1, 0])
others = {
    "torch": torch.cdist(torch.from_numpy(later), torch.from_numpy(cells)).argmin(1).numpy(),
    "scipy": cKDTree(cells).query(later)[1],
}
for name, found in others.items():
    wrong[name] = bool((found != np.arange(len(cells))).any())
    print("of", len(cells), "cells", int((found != np.arange(len(cells))).sum()), "are linked to another by", name)
expected = {(25, 100000): (False, False), "torch": True, "scipy": False}
expected |= {(26, start): (True, False) for start in (2000, 20000, 100000)}
print("as seen before" if wrong == expected else f"changed: {wrong}")
sys.exit(wrong != expected)
PY

#!/usr/bin/env bash
# StarDist learns that an object whose id is 65536 is background, and that touching ones whose ids differ by it are one.
# Guess before: the distances to an object's edge, which a network is trained on, are the same whatever its id, in any integer type, as its
# matching is. Seen with stardist 0.9.2 (star_dist, which its training calls, of 2 and of 3 dimensions): labels of 32 bits are cut
# to 16 first. Of ids 1, 65536, 65537 side by side the second has a distance of 0 all around, and the first and third, where they touch, are
# measured as one of twice the length; the probability beside it (edt_prob) keeps all three apart, so that pixels say
# "an object, of radius 0". relabel_image_stardist, by which one sees whether stars suit the masks, draws a pixel of it. Nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet stardist==0.9.2 scipy==1.17.1 scikit-image==0.26.0 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np
from stardist import edt_prob, star_dist, star_dist3D
from stardist.geometry import relabel_image_stardist
from stardist.rays3d import Rays_GoldenSpiral


def labels(ids: tuple[int, int, int], depth: int = 0) -> np.ndarray:
    """Three squares, or boxes, of 11 pixels: the first and third touch, the second lies apart."""
    plane = np.zeros((40, 30), np.int32)
    plane[4:15, 4:15], plane[22:33, 4:15], plane[4:15, 15:26] = ids
    return plane if not depth else np.pad(np.repeat(plane[None], depth, axis=0), ((3, 3), (0, 0), (0, 0)))


middles = (9, 9), (27, 9), (9, 20)
seen = {}
for ids in ((1, 2, 3), (1, 65536, 65537)):
    flat, deep = labels(ids), labels(ids, 11)
    rays, ball = star_dist(flat, 4), star_dist3D(deep, Rays_GoldenSpiral(96))
    seen[ids] = {
        "2D": tuple(float(rays[place].max()) for place in middles),
        "3D": tuple(round(float(ball[8][place].max()), 1) for place in middles),
        "probability": tuple(round(float(edt_prob(flat)[place]), 2) for place in middles),
        "drawn": tuple(int((relabel_image_stardist(flat, 32)[flat == number] > 0).sum()) for number in ids),
    }
    print(ids, seen[ids])
expected = {
    (1, 2, 3): {"2D": (5.5, 5.5, 5.5), "3D": (9.4, 9.4, 9.4), "probability": (1.0, 1.0, 1.0), "drawn": (121, 121, 121)},
    (1, 65536, 65537): {"2D": (16.5, 0.0, 16.5), "3D": (17.8, 0.0, 17.9), "probability": (1.0, 1.0, 1.0), "drawn": (121, 1, 121)},
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

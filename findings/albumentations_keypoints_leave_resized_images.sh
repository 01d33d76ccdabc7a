#!/usr/bin/env bash
# albumentations' keypoints leave what they mark where an image is made larger, by half of an old pixel less half of a new one.
# Guess before: a point in the middle of a disc is in its middle after any transform, as it is after flips; or all take a pixel's corner for its
# place. Seen with albumentations 2.0.8 and opencv-python-headless 5.0.0.93: flips, turns and Affine take x to width - 1 - x and the like,
# so that pixels' centers are whole numbers, Resize, LongestMaxSize and RandomResizedCrop multiply, as of corners, while image and mask beside
# them move as of centers. The disc at (70, 60) made 2, 4 and 8 times as large has its middle at (140.5, 120.5), (281.5,
# 241.5) and (563.5, 483.5), the point is at (140, 120), (280, 240) and (560, 480). So resizing and then flipping gives 179, flipping
# and then resizing 178, of one image. Its texts say "xy" and not whether of corners or centers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet albumentations==2.0.8 opencv-python-headless==5.0.0.93 numpy==2.2.6
cd "$folder"
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - <<'PY'
import sys

import albumentations
import numpy as np

HEIGHT, WIDTH = 128, 160
y, x = np.mgrid[:HEIGHT, :WIDTH]
disc = ((y - 60) ** 2 + (x - 70) ** 2 <= 20**2).astype(np.uint8) * 200


def middles(*transforms: albumentations.BasicTransform) -> tuple[list[float], list[float]]:
    """x and y of the disc's middle, and of the point that lies there before ``transforms``."""
    points = albumentations.KeypointParams(format="xy")
    found = albumentations.Compose(list(transforms), keypoint_params=points)(image=disc, keypoints=[(70.0, 60.0)])
    image = found["image"].astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    place = [float((image * axis).sum() / image.sum()) for axis in (columns, rows)]
    return [round(v, 1) for v in place], [round(float(v), 1) for v in found["keypoints"][0][:2]]


flip = albumentations.HorizontalFlip(p=1)
larger = {factor: albumentations.Resize(HEIGHT * factor, WIDTH * factor) for factor in (2, 4, 8)}
seen = {"flip": middles(flip)}
seen |= {f"{factor} times": middles(step) for factor, step in larger.items()}
seen |= {"2 times, flip": middles(larger[2], flip), "flip, 2 times": middles(flip, larger[2])}
for name, (image, point) in seen.items():
    print(name, "disc:", image, "point:", point)
expected = {
    "flip": ([89, 60], [89, 60]),
    "2 times": ([140.5, 120.5], [140, 120]),
    "4 times": ([281.5, 241.5], [280, 240]),
    "8 times": ([563.5, 483.5], [560, 480]),
    "2 times, flip": ([178.5, 120.5], [179, 120]),
    "flip, 2 times": ([178.5, 120.5], [178, 120]),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

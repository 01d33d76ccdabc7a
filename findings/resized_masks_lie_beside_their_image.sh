#!/usr/bin/env bash
# Masks that albumentations and MONAI make smaller lie up to half a new pixel right of and below their image.
# Guess before: an object keeps its place in image and mask, to the rounding of its edge to either side; or
# the mask's is shifted, since the nearest pixel is often the one before.
# Seen with albumentations 2.0.8 (Resize, as it comes) and monai 1.6.1 (Resized, modes bilinear and nearest): a new pixel
# of the image is the middle of its block, one of the mask the block's first. So the centroids of 36 discs of the mask
# lie .5, 1.5 and 3.5 pixels of the full size right of and below those of the image at factors 2, 4 and 8, and
# a network learns outlines that are shifted. With cv2.INTER_NEAREST_EXACT and the mode "nearest-exact" it is half a
# pixel of the full size, the other way, at each factor.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 monai==1.6.1 scipy==1.17.1 \
  albumentations==2.0.8 opencv-python-headless==5.0.0.93
cd "$folder"
export NO_ALBUMENTATIONS_UPDATE=1
venv/bin/python - <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import albumentations
import cv2
import numpy as np
import torch
from monai.transforms import Resized
from scipy.ndimage import center_of_mass

y, x = np.mgrid[:384, :384]
labels = np.zeros((384, 384), np.uint8)
for number, (row, column) in enumerate(np.ndindex(6, 6), 1):
    labels[(y - 60 * row - 37 - column) ** 2 + (x - 60 * column - 37 - row) ** 2 <= 500] = number
image = np.where(labels > 0, 200, 0).astype(np.float32)


def apart(small: np.ndarray, mask: np.ndarray, factor: int) -> float:
    """Mean way from the image's objects to the mask's, in pixels of the full size, along both axes."""
    true = np.array(center_of_mass(labels > 0, labels, range(1, 37)))
    ways = []
    for number, (row, column) in enumerate(true.round().astype(int), 1):
        part = tuple(slice(place // factor - 28 // factor, place // factor + 28 // factor + 1) for place in (row, column))
        ways.append(np.subtract(center_of_mass(mask[part] == number), center_of_mass(small[part])))
    return round(float(np.mean(ways)) * factor, 1)


def by_albumentations(size: int, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    how = {"mask_interpolation": cv2.INTER_NEAREST_EXACT} if exact else {}
    found = albumentations.Resize(size, size, **how)(image=image, mask=labels)
    return found["image"], found["mask"]


def by_monai(size: int, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    given = {"image": torch.from_numpy(image)[None], "mask": torch.from_numpy(labels)[None].float()}
    modes = ("bilinear", "nearest-exact" if exact else "nearest")
    found = Resized(["image", "mask"], (size, size), mode=modes)(given)
    return found["image"][0].numpy(), found["mask"][0].numpy()


seen = {}
for name, resize in (("albumentations", by_albumentations), ("monai", by_monai)):
    for exact in (False, True):
        found = [apart(*resize(384 // factor, exact), factor) for factor in (2, 4, 8)]
        seen[name, exact] = found
        print(name, "nearest-exact" if exact else "nearest", found)
same = all(
    np.allclose(np.abs(found), [0.5, 0.5, 0.5], atol=0.1) if exact else np.allclose(found, [0.5, 1.5, 3.5], atol=0.2)
    for (_, exact), found in seen.items()
)
print("as seen before" if same else "changed")
sys.exit(not same)
PY

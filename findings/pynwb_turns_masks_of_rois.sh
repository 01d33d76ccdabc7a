#!/usr/bin/env bash
# PyNWB's list of a ROI's pixels, turned back into an image, is its mirror image about the diagonal, or an error.
# Guess before: pixel_to_image(image_to_pixel(mask)) is the mask, as their texts say ("Converts an image_mask of a ROI into a
# pixel_mask", and the other way); or cropped, as the list knows no size. Seen with pynwb 4.2.0: the first takes an image's first
# axis for x, as NWB's schema has it, the second for y; and the image that it makes has as many rows as the ROI has pixels, and 3 columns.
# So a ROI of 2 x 10 pixels in the first corner of 60 x 80 comes back as 10 x 2 in 20 x 3, and one of 8 x 8 elsewhere is an IndexError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pynwb==4.2.0 hdmf==6.2.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from pynwb.ophys import PlaneSegmentation


def there_and_back(rows: slice, columns: slice) -> dict[str, object]:
    """Where a ROI of an image of 60 x 80 pixels is by its list, and by the image that is made of that."""
    mask = np.zeros((60, 80))
    mask[rows, columns] = 1
    pixels = PlaneSegmentation.image_to_pixel(mask)
    last = np.array(pixels)[:, :2].max(axis=0).astype(int).tolist()
    try:
        image = PlaneSegmentation.pixel_to_image(pixels)
    except IndexError:
        return {"last x, y": last, "image": "IndexError"}
    size = (np.argwhere(image).max(axis=0) + 1).tolist()
    return {"last x, y": last, "image": list(image.shape), "rows, columns": size}


seen = {
    "2 x 10": there_and_back(slice(0, 2), slice(0, 10)),
    "8 x 8": there_and_back(slice(20, 28), slice(40, 48)),
}
for name, found in seen.items():
    print("ROI of", name, found)
expected = {
    "2 x 10": {"last x, y": [1, 9], "image": [20, 3], "rows, columns": [10, 2]},
    "8 x 8": {"last x, y": [27, 47], "image": "IndexError"},
}
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY

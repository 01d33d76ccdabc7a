#!/usr/bin/env bash
# InstanSeg's percentile_normalize of an image of 8 or 16 bits is 0 and 1, and changes the image itself.
# Guess before: values between about 0 and 1 for any type of image, as of floats, and the caller's array as it was. Seen with instanseg-torch
# 0.1.2, of numpy arrays and torch tensors: results are written back into the array that was given, in its type, so that of 16 bits all
# below the 99.9th percentile are 0 and the rest 1, in the caller's own image, too. Floats are right but also changed in place, so that an
# image that is normalized twice, or measured after it, has lost its grey values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 einops==0.8.1 fastremap==1.21.0 matplotlib==3.10.3 tqdm==4.70.1 scikit-image==0.26.0 requests==2.34.2 pandas==2.3.3 rasterio==1.4.4 geojson==3.3.0 colorcet==3.2.1 tifffile==2026.3.3
"$folder/venv/bin/pip" install --quiet --no-deps instanseg-torch==0.1.2
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import torch
from instanseg.utils.utils import percentile_normalize

seen = {}
for dtype in (np.uint8, np.uint16, np.float32):
    for kind, make in (("numpy", np.copy), ("torch", lambda array: torch.from_numpy(array.copy()))):
        if kind == "torch" and dtype == np.uint16:
            continue  # a type for which torch has no arithmetic
        grey = np.arange(4000).reshape(50, 80).astype(dtype)
        image = make(grey)
        found = np.asarray(percentile_normalize(image))
        key = f"{kind} {dtype.__name__}"
        seen[key] = len(np.unique(found)), bool((np.asarray(image) == grey).all())
        print(key, found.dtype, seen[key][0], "values of", len(np.unique(grey)), "from", found.min(), "to", found.max())
        print("   the image itself is as before:", seen[key][1])
few = {key: (count < 5, kept) for key, (count, kept) in seen.items()}
expected = {key: ("uint" in key, False) for key in seen}
print("as seen before" if few == expected else f"changed: {seen}")
sys.exit(few != expected)
PY

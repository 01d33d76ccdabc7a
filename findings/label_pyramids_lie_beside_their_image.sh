#!/usr/bin/env bash
# Smaller copies of labels lie up to half of their pixels away from where OME-Zarr's metadata put them.
# Guess before: an object has one place in all levels, to the rounding of its own edge, as the image beside it has.
# Seen: ome-zarr 0.18.0 takes the last pixel of each block for a label (write_labels, as it comes), ngff-zarr 0.50.0
# the first (DASK_IMAGE_NEAREST); both write the translation of the block's middle. So centroids of 36 objects are
# off by .5, 1.5 and 3.5 pixels of the full resolution at factors 2, 4 and 8, up and left in one, down and right in
# the other. The image that ome-zarr writes beside them is right to .2 pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ome-zarr==0.18.0 ngff-zarr==0.50.0 dask-image==2026.5.0 scikit-image==0.26.0 numpy==2.4.6 zarr==3.1.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import ngff_zarr
import numpy as np
import zarr
from ome_zarr.writer import write_image, write_labels
from scipy import ndimage
from skimage.measure import regionprops

warnings.simplefilter("ignore")
y, x = np.mgrid[:128, :128]
labels = np.zeros((128, 128), np.uint32)
for number, (row, column) in enumerate(np.ndindex(6, 6), 1):
    labels[(y - 21 * row - 12) ** 2 + (x - 21 * column - 12) ** 2 <= 36] = number
true = {region.label: np.array(region.centroid) for region in regionprops(labels)}


def shift(level, scale, translation):
    """How far objects are from their place along y and x, on average, by what the metadata say."""
    away = [np.array(r.centroid) * scale + translation - true[r.label] for r in regionprops(level)]
    return [round(float(v), 1) for v in np.mean(away, axis=0)]


group, seen = zarr.open_group("x.zarr", mode="w"), {}
write_image((labels > 0).astype(np.float32), group, axes="yx")
write_labels(labels, group, name="cells", axes="yx")
for name, node in (("image", group), ("labels", group["labels/cells"])):
    for level in node.attrs["ome"]["multiscales"][0]["datasets"][:4]:
        pixels = node[level["path"]][:]
        stated = {one["type"]: np.array(one[one["type"]]) for one in level["coordinateTransformations"]}
        key = "ome-zarr", name, int(stated["scale"][0])
        if name == "labels":
            seen[key] = shift(pixels, stated["scale"], stated["translation"])
        else:
            middle = np.array(ndimage.center_of_mass(pixels)) * stated["scale"] + stated["translation"]
            seen[key] = [round(float(v), 1) for v in middle - np.array(ndimage.center_of_mass(labels > 0))]
place = {"scale": {"y": 1.0, "x": 1.0}, "translation": {"y": 0.0, "x": 0.0}}
image = ngff_zarr.to_ngff_image(labels, dims=["y", "x"], **place)
nearest = ngff_zarr.Methods.DASK_IMAGE_NEAREST
for level in ngff_zarr.to_multiscales(image, scale_factors=[2, 4, 8], method=nearest).images:
    stated = [np.array([values["y"], values["x"]]) for values in (level.scale, level.translation)]
    seen["ngff-zarr", "labels", int(level.scale["y"])] = shift(np.asarray(level.data), *stated)
for key, away in seen.items():
    print(*key, "off by y, x:", away)
near = {"ome-zarr image": 0, "ome-zarr labels": -1, "ngff-zarr labels": 1}
half = {key: near[f"{key[0]} {key[1]}"] * (key[2] - 1) / 2 for key in seen}
same = all(abs(v - half[key]) <= 0.2 for key, away in seen.items() for v in away)
print("as seen before" if same else "changed")
sys.exit(not same)
PY

#!/usr/bin/env bash
# scipy, scikit-image and SimpleITK merge ids of 64 bits of label images that are moved, enlarged or filtered by picking pixels.
# Guess before: order=0 takes the nearest pixel, and a maximum or median one of its window, so ids stay; or they are counted
# in float64, and those above 2^53 become others. Seen with scipy 1.17.1, scikit-image 0.26.0 and SimpleITK 2.5.7: of 16 neurons
# with ids about 7e17, as connectomes have them, two are left after scipy's shift, zoom, rotate, affine_transform,
# map_coordinates, maximum, median, rank and grey dilation, scikit-image's resize, rotate, dilation and median and SimpleITK's
# Resample and Expand by the nearest neighbor. The type stays 64 bits, none of the ids, or one, is left as it was, and nothing is
# said. maximum_filter(size=1), expand_labels, watershed and SimpleITK's median and dilation keep them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 scikit-image==0.26.0 SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
from collections.abc import Callable

import numpy as np
import SimpleITK
from scipy import ndimage
from skimage import filters, morphology, segmentation, transform



def itk(way: Callable[[SimpleITK.Image], SimpleITK.Image]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: SimpleITK.GetArrayFromImage(way(SimpleITK.GetImageFromArray(labels)))


nearest = SimpleITK.sitkNearestNeighbor
still = {"order": 0, "preserve_range": True}
ways = {
    "scipy shift": lambda labels: ndimage.shift(labels, 0, order=0),
    "scipy zoom": lambda labels: ndimage.zoom(labels, 2, order=0),
    "scipy rotate": lambda labels: ndimage.rotate(labels, 90, order=0),
    "scipy affine_transform": lambda labels: ndimage.affine_transform(labels, np.eye(2), order=0),
    "scipy map_coordinates": lambda labels: ndimage.map_coordinates(labels, np.mgrid[:32, :32], order=0),
    "scipy maximum_filter": lambda labels: ndimage.maximum_filter(labels, 3),
    "scipy median_filter": lambda labels: ndimage.median_filter(labels, 3),
    "scipy rank_filter": lambda labels: ndimage.rank_filter(labels, 0, 3),
    "scipy grey_dilation": lambda labels: ndimage.grey_dilation(labels, 3),
    "skimage resize": lambda labels: transform.resize(labels, (64, 64), anti_aliasing=False, **still),
    "skimage rotate": lambda labels: transform.rotate(labels, 90, **still),
    "skimage dilation": lambda labels: morphology.dilation(labels),
    "skimage median": lambda labels: filters.median(labels),
    "SimpleITK Resample": itk(lambda image: SimpleITK.Resample(image, SimpleITK.Euler2DTransform(), nearest)),
    "SimpleITK Expand": itk(lambda image: SimpleITK.Expand(image, [2, 2], nearest)),
    "SimpleITK Median": itk(SimpleITK.Median),
    "SimpleITK GrayscaleDilate": itk(SimpleITK.GrayscaleDilate),
    "scipy maximum_filter of 1": lambda labels: ndimage.maximum_filter(labels, 1),
    "skimage expand_labels": lambda labels: segmentation.expand_labels(labels, 2),
    "skimage watershed": lambda labels: segmentation.watershed(np.zeros(labels.shape), labels),
}
ids, wrong = 720575940621039145 + 7 * np.arange(16), {}
for dtype in (np.int64, np.uint64):
    labels = np.kron(ids.reshape(4, 4), np.ones((8, 8), int)).astype(dtype)
    for name, way in ways.items():
        found = way(labels)
        values = np.unique(found).tolist()
        wrong[name, dtype] = values != ids.tolist()
        print(dtype.__name__, name, found.dtype, len(values), "values,", len({*values} & {*ids.tolist()}), "of them old")
right = [name for name in ways if name.endswith((" of 1", "expand_labels", "watershed", " Median", "GrayscaleDilate"))]
changed = [key for key, value in wrong.items() if value == (key[0] in right)]
print(f"changed: {changed}" if changed else "as seen before")
sys.exit(bool(changed))
PY

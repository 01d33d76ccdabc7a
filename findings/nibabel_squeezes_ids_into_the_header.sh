#!/usr/bin/env bash
# nibabel merges the ids of labels that are saved with the header of their image, where that has fewer bits.
# Guess before: labels get a type that holds them, or saving is an error. Seen with nibabel 5.4.2: Nifti1Image(labels,
# image.affine, image.header), the common way to save what was found in an image, takes over the image's 8 bits, and
# int32 ids of 0 to 1000 are scaled by 1000 / 255 and rounded: 256 values come back, none of them an id but 0 and
# 1000 (to rounding), three or four objects in each. Without the header all ids are kept.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nibabel==5.4.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import nibabel
import numpy as np

labels = np.arange(1001, dtype=np.int32).reshape(7, 11, 13)
nibabel.save(nibabel.Nifti1Image(np.zeros(labels.shape, np.uint8), np.eye(4)), "image.nii.gz")
image, seen = nibabel.load("image.nii.gz"), {}
for name, header in (("with the image's header", image.header), ("without", None)):
    nibabel.save(nibabel.Nifti1Image(labels, image.affine, header), "labels.nii.gz")
    read = nibabel.load("labels.nii.gz").get_fdata()
    kept = int(np.isclose(read, labels, atol=1e-3).sum())
    seen[name] = len(np.unique(read)), kept
    print(name + ":", seen[name][0], "values,", kept, "of 1001 ids kept;", read.ravel()[:6].round(2).tolist())
expected = {"with the image's header": (256, seen["with the image's header"][1]), "without": (1001, 1001)}
same = seen == expected and seen["with the image's header"][1] < 10
print("as seen before" if same else "changed")
sys.exit(not same)
PY

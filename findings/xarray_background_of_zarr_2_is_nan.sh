#!/usr/bin/env bash
# xarray reads the background of labels in Zarr 2 as NaN, and all ids as floats, where in Zarr 3 they stay as they are.
# Guess before: the integers that were written, in both. Seen with xarray 2026.9.0 and zarr 3.1.6: the fill value of an
# array of version 2, which is 0 for chunks that were never written, is taken for the mark of what is missing, so that
# uint32 labels come as float64, background is NaN, and none of it equals 0: the share of foreground by labels != 0 is
# all of the image. mask_and_scale=False, or the same array in version 3, gives the labels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6 numpy==2.4.6 "dask[array]==2026.8.0"
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
import xarray
import zarr

labels = np.zeros((40, 40), np.uint32)
labels[5:15, 5:15] = 1
labels[20:30, 5:15] = 2
seen = {}
for version in (2, 3):
    group = zarr.open_group(f"{version}.zarr", mode="w", zarr_format=version)
    names = {"dimension_names": ("y", "x")} if version == 3 else {}
    array = group.create_array("labels", shape=labels.shape, dtype=labels.dtype, chunks=(20, 20), fill_value=0, **names)
    array[:] = labels
    if version == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    for options in ({}, {"mask_and_scale": False}):
        read = xarray.open_zarr(f"{version}.zarr", consolidated=False, **options).labels
        seen[version, len(options)] = str(read.dtype), float((read != 0).mean())
        print("Zarr", version, options, *seen[version, len(options)], "foreground of", float((labels != 0).mean()))
expected = dict.fromkeys(((2, 1), (3, 0), (3, 1)), ("uint32", 0.125)) | {(2, 0): ("float64", 1.0)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

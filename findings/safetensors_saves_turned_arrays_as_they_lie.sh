#!/usr/bin/env bash
# safetensors saves a numpy array whose axes were turned with its new shape and its old order of numbers.
# Guess before: what was saved comes back, or an error, as for a torch tensor that is turned. Seen with safetensors 0.8.0: a kernel
# whose axes were moved from Keras' order to torch's, a transposed matrix and one in Fortran's order (contiguous and dense, which
# its text asks for) come back as the memory was, cut into rows of the new length, without a word; safetensors.torch refuses
# the same, and the array's copy() is right. So converted weights load with the right shapes and compute noise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6 torch==2.13.0+cpu
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
kernel = np.arange(54, dtype=np.float32).reshape(3, 3, 2, 3)  # rows, columns, channels in and out
seen = {}
for name, array in (
    ("as made", matrix),
    ("transposed", matrix.T),
    ("Fortran's order", np.asfortranarray(matrix)),
    ("kernel turned", kernel.transpose(3, 2, 0, 1)),
    ("kernel turned and copied", kernel.transpose(3, 2, 0, 1).copy()),
):
    safetensors.numpy.save_file({"weights": array}, "model.safetensors")
    back = safetensors.numpy.load_file("model.safetensors")["weights"]
    try:
        safetensors.torch.save({"weights": torch.from_numpy(array)})
        other = "saved"
    except ValueError:
        other = "refused"
    seen[name] = back.shape == array.shape, bool((back == array).all()), other
    print(name, "shape kept, numbers kept, by torch:", *seen[name])
expected = {name: (True, name in ("as made", "kernel turned and copied"), "refused") for name in seen}
expected["as made"] = expected["kernel turned and copied"] = (True, True, "saved")
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY

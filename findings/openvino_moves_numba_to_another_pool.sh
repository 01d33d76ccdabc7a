#!/usr/bin/env bash
# Importing OpenVINO decides which threads numba's parallel functions run on, and each fork complains from then on.
# Guess before: numba takes the same pool of threads whatever else is imported, as no package named tbb is installed.
# Seen with numba 0.68.1 and openvino 2026.4.1: OpenVINO loads a TBB of its own, numba looks that library up by its
# name, finds it loaded, and prefers it to OpenMP. So one import, or the lack of it, moves compiled functions from the
# pool that they share with torch to one of their own; and once OpenVINO has run a network every fork, as of workers
# that load data, writes "Unable to join threads to shut down before fork()" to the standard output, among results.
# A longer process, not this one, was seen to wait for ever at its end, where numba gives TBB back that OpenVINO had
# brought. NUMBA_THREADING_LAYER_PRIORITY with omp first keeps the pool.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 openvino==2026.4.1 numpy==2.4.6
cd "$folder"
cat > layer.py <<'PY'
import os
import sys

if "openvino" in sys.argv:
    import openvino

import numba
import numpy as np


@numba.njit(parallel=True)
def doubled(values):
    out = np.empty_like(values)
    for i in numba.prange(len(values)):
        out[i] = 2 * values[i]
    return out


assert (doubled(np.arange(1000.0)) == 2 * np.arange(1000.0)).all()
print(numba.threading_layer(), flush=True)
if "openvino" in sys.argv:
    from openvino import opset13

    given = opset13.parameter([1, 3, 64, 64], np.float32)
    network = openvino.Core().compile_model(openvino.Model([opset13.relu(given)], [given]), "CPU")
    network(np.ones((1, 3, 64, 64), np.float32))
if (child := os.fork()) == 0:
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)  # at once: nothing is given back
PY
alone=$(venv/bin/python layer.py)
beside=$(venv/bin/python layer.py openvino)
first=$(NUMBA_THREADING_LAYER_PRIORITY="omp tbb workqueue" venv/bin/python layer.py openvino)
printf 'numba alone:\n%s\nwith openvino:\n%s\nwith openvino, and omp first:\n%s\n' "$alone" "$beside" "$first"
test "$alone" != tbb
test "$(head -n 1 <<< "$beside")" = tbb
grep -q "Unable to join threads" <<< "$beside"
test "$first" = "$alone"

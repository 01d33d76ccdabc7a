"""Compiled kernels share torch's threads, whatever other libraries bring along."""

import subprocess
import sys

import pytest

CODE = """
import {first}
import torch
from spatialembed.loss import SpatialEmbeddingLoss
label_mask = torch.zeros(1, 64, 64, dtype=torch.int32)
label_mask[0, 10:30, 10:30] = 1
SpatialEmbeddingLoss(2)(torch.randn(1, 5, 64, 64), label_mask)
import numba
print(numba.threading_layer())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere numba may come without OpenMP")
@pytest.mark.parametrize("first", ["openvino", "numba"])
def test_kernels_take_openmp_even_where_openvino_brings_tbb(first) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "omp"

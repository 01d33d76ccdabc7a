"""Networks in processes that were forked from one where some had run, and been let go."""

import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, sys
import numpy as np
import spatialembed as se

image = np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)

def found(model):
    return se.load(model).predict(image).label_map

if __name__ == "__main__":
    model = sys.argv[1]
    for _ in range(2):
        expected = found(model)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for got in pool.map(found, [model] * 2):
            assert got.shape == expected.shape
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others do not fork")
@pytest.mark.parametrize("model", ["nuclei", "cells"])
def test_a_network_runs_in_a_forked_process(model: str) -> None:
    # In a process of its own, which may end: it did not, waiting for threads that were gone.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr

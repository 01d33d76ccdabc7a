"""The loss against naive loops (tests/reference.py), float32, batches of two; in turns.

    python benchmarks/loss.py             # speed, memory and gradient; about ten minutes

Forward and backward. At 1024² with 150 objects the naive loss needs about 20 GB.
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from measure import show, side_by_side, write_table
from workload import ellipses, initial_output, trained_output

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference
from spatialembed.loss import SpatialEmbeddingLoss

CASES = [
    (512, 5, "trained"), (512, 20, "trained"), (512, 150, "trained"), (512, 20, "initial"),
    (1024, 20, "trained"), (1024, 150, "trained"),
]  # fmt: skip
N_SIGMA = 2


def batch(side: int, objects: int, state: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw outputs and label masks of two images."""
    masks = [ellipses((side, side), objects, seed) for seed in range(2)]
    outputs = [
        trained_output(mask, N_SIGMA) if state == "trained" else initial_output(mask.shape, N_SIGMA)
        for mask in masks
    ]
    return torch.from_numpy(np.stack(outputs)), torch.from_numpy(np.stack(masks))


def gradient(loss, output: torch.Tensor, label_mask: torch.Tensor) -> torch.Tensor:
    """Gradient of the total in the raw output."""
    output = output.clone().requires_grad_()
    loss(output, label_mask)["total"].backward()
    return output.grad


def ours(output: torch.Tensor, label_mask: torch.Tensor) -> torch.Tensor:
    """By spatialembed."""
    return gradient(SpatialEmbeddingLoss(N_SIGMA), output, label_mask)


def naive(output: torch.Tensor, label_mask: torch.Tensor) -> torch.Tensor:
    """By naive loops in the output's dtype."""
    return gradient(lambda o, m: reference.loss(o, m, n_sigma=N_SIGMA), output, label_mask)


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative L2 distance."""
    return float((found.double() - exact).norm() / exact.norm())


def peak(which: str, side: int, objects: int) -> str:
    """Memory that one loss takes at most in a process of its own, above what is there before."""
    command = [sys.executable, __file__, which, str(side), str(objects)]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"{float(done.stdout):.2f} GB" if done.returncode == 0 else "more than there is"


def own_peak(which: str, side: int, objects: int) -> None:
    """Print the peak of this process."""
    output, label_mask = batch(side, objects, "trained")
    small = output[..., :64, :64].contiguous(), label_mask[..., :64, :64].contiguous()
    work = {"ours": ours, "naive": naive}[which]
    work(*small)  # kernels and libraries are not the loss's
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(output, label_mask)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)


def main() -> None:
    """Measure all cases."""
    rows = []
    for side, objects, state in CASES:
        output, label_mask = batch(side, objects, state)
        runs = 9 if side * objects < 20_000 else 3
        times = side_by_side(
            {
                "ours": lambda o=output, m=label_mask: ours(o, m),
                "naive": lambda o=output, m=label_mask: naive(o, m),
            },
            runs,
        )
        row = [f"{side}²", objects, state, show(times["naive"]), show(times["ours"])]
        row.append(f"{times['naive'] / times['ours']:.0f} ×")
        if side == 512:
            exact = naive(output.double(), label_mask)
            row += [f"{error(f(output, label_mask), exact):.1e}" for f in (naive, ours)]
        else:
            row += ["", ""]
        rows.append(row)
    header = ["image", "objects", "state", "naive", "ours", "faster",
              "gradient's error, naive", "ours"]  # fmt: skip
    for objects in (20, 150):
        memory = [peak(which, 1024, objects) for which in ("naive", "ours")]
        rows.append(["1024²", objects, "peak memory", *memory, "", "", ""])
    write_table("loss", header, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        own_peak(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()

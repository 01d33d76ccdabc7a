"""The loss against naive loops (tests/reference.py), float32, batches of two; in turns.

    python benchmarks/loss.py             # speed, memory and gradient; about five minutes

Forward and backward. At 1024² with 150 objects the naive loss needs about 20 GB.
"""

import json
import resource
import sys
from functools import partial

import numpy as np
import torch

from measure import copy_limit, in_own_process, show, side_by_side, write_table
from naive import reference
from spatialembed.loss import SpatialEmbeddingLoss
from workload import ellipses, initial_output, trained_output

CASES = [
    (512, 5, "trained"), (512, 20, "trained"), (512, 150, "trained"), (512, 20, "initial"),
    (1024, 20, "trained"), (1024, 150, "trained"),
]  # fmt: skip
N_SIGMA = 1
NAIVE = partial(reference.loss, n_sigma=N_SIGMA)


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
    return gradient(NAIVE, output, label_mask)


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative L2 distance."""
    return float((found.double() - exact).norm() / exact.norm())


def peak(which: str, side: int, objects: int) -> dict[str, float]:
    """GB that one loss takes at most, above what is there before it."""
    output, label_mask = batch(side, objects, "trained")
    small = output[..., :64, :64].contiguous(), label_mask[..., :64, :64].contiguous()
    work = {"ours": ours, "naive": naive}[which]
    work(*small)  # kernels and libraries are not the loss's
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(output, label_mask)
    return {"GB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20}


def case(side: int, objects: int, state: str) -> dict[str, float]:
    """Seconds of both losses, and the error of both gradients on images of 512²."""
    output, label_mask = batch(side, objects, state)
    works = {"ours": ours, "naive": naive}
    runs = 9 if side * objects < 20_000 else 3
    result = side_by_side({n: lambda f=f: f(output, label_mask) for n, f in works.items()}, runs)
    # At 1024² the naive loss has no room in float64; ours, tested against it, stands in.
    exact = (naive if side == 512 else ours)(output.double(), label_mask)
    for name, work in works.items():
        result[f"{name} error"] = error(work(output, label_mask), exact)
    result["limit"] = (2 * output.nbytes + label_mask.nbytes) / copy_limit()
    return result


def main() -> None:
    """Measure all cases, each in a process of its own."""
    rows = []
    for side, objects, state in CASES:
        found = in_own_process("case", side, objects, state)
        row = [f"{side}²", objects, state]
        if found is None:
            row += ["more memory than there is", "", "", "", "", ""]
        else:
            row += [show(found["naive"]), show(found["ours"])]
            row.append(f"{found['naive'] / found['ours']:.0f} ×")
            row.append(f"{found['limit'] / found['ours']:.0%}")
            row += [f"{found[f'{name} error']:.1e}" for name in ("naive", "ours")]
        rows.append(row)
    for objects in (20, 150):
        found = [in_own_process("peak", which, 1024, objects) for which in ("naive", "ours")]
        memory = ["more than there is" if f is None else f"{f['GB']:.2f} GB" for f in found]
        rows.append(["1024²", objects, "peak memory", *memory, "", "", "", ""])
    header = ["image", "objects", "state", "naive", "ours", "faster", "of the limit"]
    write_table("loss", [*header, "gradient's error, naive", "ours"], rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        kind, *given = sys.argv[1:]
        numbers = [int(a) if a.isdigit() else a for a in given]
        print(json.dumps({"case": case, "peak": peak}[kind](*numbers)))

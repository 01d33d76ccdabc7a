"""Refinement as TorchScript: what spatialembed/refinement.py does, to the last pixel."""

import math

import numpy as np
import torch
from torch import Tensor

from spatialembed.export.script.clustering import Foreground, clamped, distances, in_reach, widths
from spatialembed.refinement import LEAST_PHI

FARTHEST = float(np.float32(-math.log(LEAST_PHI)))
"""Scaled distance up to which a pixel may go to an object."""


def refined(
    label: Tensor,
    classes: list[int],
    shown: Foreground,
    min_size: int,
    farthest: float = FARTHEST,
) -> Tensor:
    """Labels after every foreground pixel has gone to the instance of its class that fits it best.

    Args:
        label: (pixels,) int32 of clustering, 0 for none.
        classes: of the instances.
        shown: the foreground that they were found in.
        min_size: pixels that an instance keeps, or it is gone.
        farthest: a constant; TorchScript reads no global names.
    """
    count = len(classes)
    kinds = torch.tensor([-1] + classes, dtype=torch.int64)  # noqa: RUF005  # TorchScript unpacks no lists
    owner = label[shown.pixel].to(torch.int64)
    owner = torch.where(kinds[owner] == shown.kind, owner, torch.zeros_like(owner))
    center = means(shown.position, owner, count)
    width = widths(means(clamped(shown.sigma), owner, count))
    pixel, kind = shown.pixel[shown.by_row], shown.kind[shown.by_row]
    x, y = shown.position[0][shown.by_row], shown.position[1][shown.by_row]
    first, last = in_reach(y, center[1], width[1], farthest)
    firsts: list[int] = first.tolist()
    lasts: list[int] = last.tolist()
    centers: list[list[float]] = center.tolist()
    both: list[list[float]] = width.tolist()
    best = torch.zeros_like(label)
    least = torch.full(label.shape, farthest, dtype=torch.float32)
    for k in range(count):
        a, b = firsts[k], lasts[k]
        near = pixel[a:b]
        distance = distances(x[a:b], y[a:b], centers[0][k], centers[1][k], both[0][k], both[1][k])
        closer = (distance < least[near]) & (kind[a:b] == classes[k])
        best[near[closer]] = k + 1
        least[near[closer]] = distance[closer]
    left = torch.bincount(best, minlength=count + 1) >= max(1, min_size)
    left[0] = False
    number = torch.where(left, left.cumsum(0), torch.zeros_like(left, dtype=torch.int64))
    return number[best.to(torch.int64)].to(torch.int32)


def means(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """(C, count) float32 means of (C, E) values by owner from 1 on, summed in their order."""
    area = torch.bincount(owner, minlength=count + 1)[1:]
    sums = [
        torch.bincount(owner, weights=values[c].double(), minlength=count + 1)[1:]
        for c in range(values.shape[0])
    ]
    return (torch.stack(sums) / area).to(torch.float32)

"""Clustering as TorchScript: the rule of spatialembed/clustering.py, one proposal after the other.

Label maps are those of :func:`spatialembed.cluster` to the last pixel, where exp and tanh of torch
and of numpy give the same: they may differ by the last bit, which decides of pixels that lie on a
margin within some 1e-7 of it, and between seeds whose scores are equal to some 1e-7.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spatialembed.embedding import SIGMA_RANGE

LIMIT = float(np.float32(math.log(2)))
"""A pixel belongs where φ > 0.5, that is where its scaled distance is less than ln 2."""

AT_ONCE = 64
"""Seeds that are visited before those that they spent are taken from the others."""


class Foreground(NamedTuple):
    """The foreground of every class, one entry a (class, pixel), ordered by class, then pixel."""

    pixel: Tensor  # (E,) int64 flat index
    kind: Tensor  # (E,) int64 class
    score: Tensor  # (E,) float32
    position: Tensor  # (2, E) float32 embedding, in the order x, y
    sigma: Tensor  # (n_sigma, E) float32 bandwidths
    by_row: Tensor  # (E,) int64 the entries in the order of their embeddings' y


def foreground_of(
    output: Tensor, n_sigma: int, threshold: float, pitch: tuple[float, float], sigma: float
) -> Foreground:
    """Pixels whose score exceeds the threshold and whose output is all finite.

    Args:
        output: (2 + n_sigma + K, H, W) float32 raw output on the processor.
        n_sigma: bandwidths a pixel, 1 or 2.
        threshold: seed score that the foreground is above, a float32.
        pitch: coordinate step per pixel along x and y.
        sigma: of all pixels, where it is fixed; NaN where it is learned.
    """
    width = output.shape[2]
    flat = output.flatten(1)
    score = 1 / (1 + torch.exp(-torch.clamp(flat[2 + n_sigma :], -80.0, 80.0)))
    entries = ((score > threshold) & torch.isfinite(flat).all(0)).nonzero()
    kind, pixel = entries[:, 0], entries[:, 1]
    x = (pixel % width).to(torch.float32) * pitch[0] + torch.tanh(flat[0, pixel])
    row = torch.div(pixel, width, rounding_mode="floor")
    y = row.to(torch.float32) * pitch[1] + torch.tanh(flat[1, pixel])
    sigmas = flat[2 : 2 + n_sigma][:, pixel]
    if not math.isnan(sigma):
        sigmas = torch.full_like(sigmas, sigma)
    return Foreground(
        pixel,
        kind,
        score[kind, pixel],
        torch.stack([x, y]),
        sigmas,
        torch.argsort(y),
    )


def clamped(
    sigma: Tensor, lowest: float = SIGMA_RANGE[0], highest: float = SIGMA_RANGE[1]
) -> Tensor:
    """Bandwidths within the range that they have."""
    return torch.clamp(sigma, lowest, highest)


def widths(sigma: Tensor) -> Tensor:
    """(2, N) inverse squared widths along x and y of (1 or 2, N) bandwidths."""
    return torch.exp(10 * clamped(sigma)).expand(2, sigma.shape[1])


def in_reach(rows: Tensor, center: Tensor, width: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """First and last of the sorted ``rows`` whose scaled distance to each center can be below it.

    A little more, as the distance itself is rounded; it decides.

    Args:
        rows: (E,) float32 embeddings along y, ascending.
        center, width: (N,) float32 along y.
        limit: of the scaled distance.
    """
    reach = torch.sqrt(limit / width.double()) * (1 + 1e-5)
    first = torch.searchsorted(rows.double(), center.double() - reach)
    last = torch.searchsorted(rows.double(), center.double() + reach, right=True)
    return first, last


def distances(
    x: Tensor, y: Tensor, center_x: float, center_y: float, width_x: float, width_y: float
) -> Tensor:
    """Scaled distances to a center, in the order of operations of kernels/reach.py."""
    along_x, along_y = x - center_x, y - center_y
    return width_x * (along_x * along_x) + width_y * (along_y * along_y)


def clustered(
    shown: Foreground,
    pixels: int,
    seed_threshold: float,
    min_size: int,
    limit: float = LIMIT,
    at_once: int = AT_ONCE,
) -> tuple[Tensor, list[int]]:
    """Labels of an image's pixels, and the class of each instance.

    Args:
        shown: the foreground.
        pixels: of the image.
        seed_threshold: least score of a seed, a float32.
        min_size: least number of pixels of a proposal.
        limit, at_once: constants; TorchScript reads no global names.

    Returns:
        (pixels,) int32, 0 for none; and the classes, in the order of labels from 1 on.
    """
    label = torch.zeros(pixels, dtype=torch.int32)  # −1 is spent without an instance
    pixel, kind = shown.pixel[shown.by_row], shown.kind[shown.by_row]
    x, y = shown.position[0][shown.by_row], shown.position[1][shown.by_row]
    classes: list[int] = []
    seeds = (shown.score >= seed_threshold).nonzero()[:, 0]
    # Stable: at equal scores the lower class, then the lower pixel goes first.
    seeds = seeds[torch.sort(shown.score[seeds], dim=0, descending=True, stable=True)[1]]
    while seeds.numel() > 0:
        some, seeds = seeds[:at_once], seeds[at_once:]
        center, width = shown.position[:, some], widths(shown.sigma[:, some])
        first, last = in_reach(y, center[1], width[1], limit)
        firsts: list[int] = first.tolist()
        lasts: list[int] = last.tolist()
        own_pixels: list[int] = shown.pixel[some].tolist()
        own_kinds: list[int] = shown.kind[some].tolist()
        centers: list[list[float]] = center.tolist()
        both: list[list[float]] = width.tolist()
        for i in range(len(firsts)):
            if int(label[own_pixels[i]]) != 0:
                continue
            a, b = firsts[i], lasts[i]
            distance = distances(
                x[a:b], y[a:b], centers[0][i], centers[1][i], both[0][i], both[1][i]
            )
            inside = (distance < limit) & (kind[a:b] == own_kinds[i])
            members = pixel[a:b][inside]
            free = members[label[members] == 0]
            value = -1
            if members.numel() >= min_size and 2 * free.numel() > members.numel():
                classes.append(own_kinds[i])
                value = len(classes)
            else:
                label[own_pixels[i]] = -1  # a seed without a proposal ends here too
            label[free] = value
        seeds = seeds[label[shown.pixel[seeds]] == 0]
    return torch.clamp(label, min=0), classes

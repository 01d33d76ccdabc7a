"""Normalisation as TorchScript: what models/normalization.py does, to the last bit.

Of pixels as float32, which hold integers up to 2^24.
"""

import math

import torch
from torch import Tensor

from spatialembed.models.normalization import (
    MOST_SIDE,
    PERCENTILE_CLIP,
    SAMPLE_SIDE,
    SAMPLES,
)


def by_percentiles(
    image: Tensor, low: float, high: float, clip: tuple[float, float] = PERCENTILE_CLIP
) -> Tensor:
    """(C, H, W) float32, each channel with its percentiles at 0 and 1, clipped."""
    image = image.cpu()
    result = torch.zeros_like(image)
    judged = image[:, looked_at(image.shape[1])][:, :, looked_at(image.shape[2])]
    for channel in range(image.shape[0]):
        values = judged[channel].flatten()
        values = torch.sort(values[torch.isfinite(values)])[0]
        if values.numel() > 0:
            bottom, top = percentile(values, low), percentile(values, high)
            if top > bottom:
                scaled = (image[channel].double() - bottom) / (top - bottom)
                result[channel] = torch.clamp(scaled, clip[0], clip[1]).to(torch.float32)
    result[~torch.isfinite(image)] = 0
    return result


def percentile(values: Tensor, wanted: float) -> float:
    """As numpy's, of ascending values."""
    most = values.numel() - 1
    place = most * (wanted / 100)
    below = math.floor(place)
    share = place - below
    lower, upper = float(values[min(below, most)]), float(values[min(below + 1, most)])
    step = upper - lower
    return lower + step * share if share < 0.5 else upper - step * (1 - share)


def looked_at(
    length: int, most: int = MOST_SIDE, samples: int = SAMPLES, side: int = SAMPLE_SIDE
) -> Tensor:
    """Lines of a side that percentiles are taken from: all, or parts of a long one."""
    if length <= most:
        return torch.arange(length)
    parts = [torch.arange(side) + k * (length - side) // (samples - 1) for k in range(samples)]
    return torch.cat(parts)


def by_scale(image: Tensor, mean: Tensor, std: Tensor, most: float) -> Tensor:
    """(C, H, W) float32 minus a mean, divided by a deviation, (C, 1, 1) each; at most ``most``."""
    result = torch.clamp((image - mean) / std, max=most)
    result[~torch.isfinite(result)] = 0
    result[~torch.isfinite(image)] = 0
    return result

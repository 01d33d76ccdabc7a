"""Enlarging and shrinking as TorchScript: what inference/resizing.py does, to the last bit."""

import math

import torch
from torch import Tensor


def lines_of(side: int, zoom: float) -> int:
    """Lines of an enlarged side; halves go to the even number, as Python rounds."""
    exact = side * zoom
    below = math.floor(exact)
    up = exact - below > 0.5 or (exact - below == 0.5 and below % 2 == 1)
    return max(1, below + int(up))


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """(C, H, W) float32 at another size: interpolated, or smoothed first as it shrinks."""
    if (height, width) == (image.shape[1], image.shape[2]):
        return image
    return averaged(averaged(image, 2, width), 1, height)


def averaged(image: Tensor, axis: int, lines: int) -> Tensor:
    """One axis at another size: means of triangles of two pixels or two lines, as PIL's."""
    length = image.shape[axis]
    scale = length / lines
    reach = max(scale, 1.0)
    center = (torch.arange(lines, dtype=torch.float64) + 0.5) * scale
    first = torch.clamp((center - reach + 0.5).to(torch.int64), min=0)
    last = torch.clamp((center + reach + 0.5).to(torch.int64), max=length)
    place = first[:, None] + torch.arange(int((last - first).max()))
    weight = torch.clamp(1 - torch.abs((place - center[:, None] + 0.5) * (1 / reach)), min=0)
    weight[place >= last[:, None]] = 0
    weight = weight / weight.cumsum(1)[:, -1:]
    return mixed(image, axis, torch.clamp(place, max=length - 1), weight).to(torch.float32)


def sampled(maps: Tensor, height: int, width: int) -> Tensor:
    """(C, h, w) float32 maps of an enlarged image at the pixels of the image (H, W)."""
    if (height, width) == (maps.shape[1], maps.shape[2]):
        return maps
    return interpolated(interpolated(maps, 2, width), 1, height)


def interpolated(maps: Tensor, axis: int, length: int) -> Tensor:
    """One axis at the centers of so many pixels, between the nearest two lines."""
    lines = maps.shape[axis]
    place = (torch.arange(length, dtype=torch.float64) + 0.5) * (lines / length) - 0.5
    place = torch.clamp(place, 0.0, float(lines - 1))
    below = torch.floor(place)
    share = (place - below).to(torch.float32)
    line = torch.stack([below, torch.clamp(below + 1, max=lines - 1)], 1).to(torch.int64)
    return mixed(maps, axis, line, torch.stack([1 - share, share], 1))


def mixed(image: Tensor, axis: int, line: Tensor, weight: Tensor) -> Tensor:
    """Along an axis the sums of (L, K) lines by (L, K) weights, one after the other."""
    shape = [-1, 1] if axis == 1 else [1, -1]
    line, weight = line.to(image.device), weight.to(image.device)
    total = image.index_select(axis, line[:, 0]) * weight[:, 0].reshape(shape)
    for k in range(1, line.shape[1]):
        total = total + image.index_select(axis, line[:, k]) * weight[:, k].reshape(shape)
    return total


def pitch_of(
    pitch: tuple[float, float], height: int, width: int, zoom: float
) -> tuple[float, float]:
    """Coordinate step per pixel along x and y of an image that is seen enlarged."""
    across, down = lines_of(width, zoom) / width, lines_of(height, zoom) / height
    return pitch[0] * across, pitch[1] * down

"""Enlarging and shrinking: of images on their way into a network, and of what comes out of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

import numpy as np

from spatialembed.embedding import Array
from spatialembed.inference.zoom import Enlarged, Side
from spatialembed.kernels.resampling import resample
from spatialembed.kernels.threads import cores

Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of an image."""

SHARED = 2**18
"""Pixels from which on several cores share the work on an image."""


class Taps(NamedTuple):
    """What each of L lines is a mean of."""

    line: np.ndarray
    """(L, K) int32 lines of what is given."""
    weight: np.ndarray
    """(L, K) float32, or float64 where sums are taken in it."""

    def of(self, lines: slice) -> Taps:
        """Those of some of the lines."""
        return Taps(self.line[lines], self.weight[lines])

    def among(self, lines: slice) -> Taps:
        """The same where only some lines are given; those beyond become the nearest."""
        line = np.clip(self.line - lines.start, 0, lines.stop - lines.start - 1)
        return Taps(line, self.weight)


def resized(image: Array, to: Enlarged, window: Window | None = None) -> Array:
    """An image (C, H, W) at another size, float32: interpolated, or smoothed first as it shrinks.

    Of a tensor a tensor, on the same device, equal to rounding.

    Args:
        image: float32.
        to: the size.
        window: rows and columns of the enlarged image, of numpy, that are wanted; None for all.
    """
    if to.is_same:
        return image if window is None else np.ascontiguousarray(image[:, window[0], window[1]])
    rows, columns = (
        _triangles(side, length)
        for side, length in zip((to.rows, to.columns), image.shape[1:], strict=True)
    )
    if not isinstance(image, np.ndarray):
        return _resampled(_resampled(image, 2, columns), 1, rows)
    if window is not None:
        rows, columns = rows.of(window[0]), columns.of(window[1])
    result = np.empty((len(image), len(rows.line), len(columns.line)), np.float32)
    _resample(image, rows, columns, result)
    return result


def _triangles(to: Side, length: int) -> Taps:
    """Of so many pixels, as PIL has them to the last bit: triangles of two pixels or two lines."""
    start, stop = np.array(to.ends, np.float32)
    scale = float(stop - start) / len(to)
    reach = max(scale, 1.0)
    center = float(start) + (np.arange(len(to)) + 0.5) * scale
    first = np.maximum((center - reach + 0.5).astype(np.intp), 0)
    last = np.minimum((center + reach + 0.5).astype(np.intp), length)
    place = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1 - np.abs((place - center[:, None] + 0.5) * (1 / reach)), 0)
    weights[place >= last[:, None]] = 0
    weights /= weights.cumsum(1)[:, -1:]  # one after the other, as PIL's sum
    return Taps(np.minimum(place, length - 1).astype(np.int32), weights)


def sampled(maps: Array, at: Enlarged) -> Array:
    """Maps of an enlarged image at the pixels of the image, interpolated between the nearest four.

    Unlike :func:`resized` it does not smooth: what two objects say is mixed at their border alone.

    Args:
        maps: (C, h, w) float32 of numpy, or a tensor of any float type, which stays where it is.

    Returns:
        (C, H, W) float32; ``maps`` itself where it is of that size.
    """
    if at.is_same:
        return maps
    if not isinstance(maps, np.ndarray):
        rows, columns = (_nearest_two(side) for side in (at.rows, at.columns))
        return _resampled(_resampled(maps.float(), 1, rows), 2, columns)
    sides = (side.stop - side.start for side in (at.rows, at.columns))
    result = np.empty((len(maps), *sides), np.float32)
    whole = slice(0, len(at.rows)), slice(0, len(at.columns))
    sample_into(result, maps, at, whole, whole)
    return result


def resized_along_z(volume: np.ndarray, to: Side) -> np.ndarray:
    """A volume (C, Z, H, W) of another number of planes, as :func:`resized` has lines."""
    return volume if to.zoom == 1 else _along_z(volume, _triangles(to, volume.shape[1]))


def sampled_along_z(maps: np.ndarray, at: Side) -> np.ndarray:
    """Maps (C, z, H, W) at the planes of the volume itself, as :func:`sampled` has pixels."""
    return maps if at.zoom == 1 else _along_z(maps, _nearest_two(at))


def _along_z(volume: np.ndarray, to: Taps) -> np.ndarray:
    count, _, *sides = volume.shape
    result = np.empty((count, len(to.line), *sides), np.float32)
    for k, (planes, weights) in enumerate(zip(to.line, to.weight.astype(np.float32), strict=True)):
        result[:, k] = np.tensordot(weights, volume[:, planes], (0, 1))
    return result


def sample_into(
    result: np.ndarray, maps: np.ndarray, at: Enlarged, window: Window, core: Window
) -> None:
    """Write into :func:`sampled` maps (C, H, W) what comes of a window of the enlarged ones.

    Args:
        result: float32, of which those pixels are written that lie in the window's core.
        maps: (C, h, w) float32, the window.
        at: where the pixels lie in all of the enlarged maps.
        window: rows and columns of these.
        core: those of them that no other window's core has.
    """
    (top, rows), (left, columns) = (
        _within(side, seen, own)
        for side, seen, own in zip((at.rows, at.columns), window, core, strict=True)
    )
    _resample(maps, rows, columns, result, top, left)


def _within(side: Side, seen: slice, own: slice) -> tuple[int, Taps]:
    """The first of the pixels that lie among ``own`` lines, and what they are means of."""
    taps = _nearest_two(side)
    first, last = np.searchsorted(taps.line[:, 0], (own.start, own.stop))
    return int(first), taps.of(slice(first, last)).among(seen)


def _nearest_two(side: Side) -> Taps:
    place = side.places
    below = np.floor(place).astype(np.int32)
    share = (place - below).astype(np.float32)
    line = np.stack([below, np.minimum(below + 1, len(side) - 1)], axis=1)
    return Taps(line, np.stack([1 - share, share], axis=1))


def _resample(
    maps: np.ndarray, rows: Taps, columns: Taps, result: np.ndarray, top: int = 0, left: int = 0
) -> None:
    """:func:`resample` in as many strips as there are cores, which share the work."""
    size = len(rows.line) * len(columns.line)
    if not size:
        return
    maps = np.ascontiguousarray(maps, np.float32)
    length = -(-len(rows.line) // (cores() if size >= SHARED else 1))

    def strip(start: int) -> None:
        own = rows.of(slice(start, start + length))
        resample(maps, *own, *columns, result, top + start, left)

    starts = range(0, len(rows.line), length)
    if len(starts) == 1:
        return strip(0)
    with ThreadPoolExecutor(len(starts)) as pool:
        list(pool.map(strip, starts))


def _resampled(image: Array, axis: int, to: Taps) -> Array:
    """The same along one axis of a tensor: torch's own resizing takes no part of an image."""
    import torch

    shape = [-1 if a == axis else 1 for a in range(3)]
    total: Array = 0.0
    for line, weight in zip(to.line.T, to.weight.T, strict=True):
        tap = line.copy(), weight.astype(np.float32)
        place, part = (torch.from_numpy(array).to(image.device) for array in tap)
        total = total + image.index_select(axis, place) * part.reshape(shape)
    return total

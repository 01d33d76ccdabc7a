"""One warp shared by image and mask: where each pixel of a crop comes from.

Labels are gathered by integer coordinates, never interpolated and never as floats, so that any
id survives. Outside of the source nothing is mirrored: an object and its image would share an id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spatialembed.data.crops.augmentation import Change


@dataclass(frozen=True)
class Warp:
    """Where each pixel of a crop comes from: an affine map shared by image and mask.

    Crops lie along the axes of their source, or across them, so a line of each is enough.
    """

    rows: NDArray[np.float64]
    """(S, 1) y coordinate in the source, in pixels; integers lie on pixel centers. (1, S) where
    rows of the crop are columns of the source."""
    columns: NDArray[np.float64]
    """(1, S) x coordinate in the source, or (S, 1) there."""
    step: float
    """Source pixels per crop pixel."""
    exact: bool
    """Whether every coordinate is an integer, so that the image is copied, not interpolated."""

    @classmethod
    def about(cls, center: tuple[float, float], change: Change, size: int) -> Warp:
        """The warp of a square crop of ``size`` whose center shows the source's ``center`` (y, x).

        Without magnification the center moves by up to half a pixel, onto the grid of pixels.
        """
        exact = change.scale == 1
        half = (size - 1) / 2
        y, x = (math.floor(c - half + 0.5) + half for c in center) if exact else center
        (yy, yx), (xy, xx) = change.matrix()
        line = np.arange(size) - half
        column = line[:, None]
        rows = y + (yy * column if yy else yx * line[None])
        return cls(rows, x + (xy * column if xy else xx * line[None]), 1 / change.scale, exact)

    def inside(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(S, S), what lies inside of a source of ``shape``."""
        sides = (self._pixels(at) for at in (self.rows, self.columns))
        row, column = ((at >= 0) & (at < n) for at, n in zip(sides, shape, strict=True))
        return row & column

    def nearest(self, source: NDArray[Any]) -> NDArray[Any]:
        """Nearest pixels (..., S, S) of a source (..., H, W), its border continued outside."""
        lines = zip((self.rows, self.columns), source.shape[-2:], strict=True)
        row, column = (self._pixels(at).ravel().clip(0, n - 1) for at, n in lines)
        taken = source.take(row, -2).take(column, -1)
        is_across = self.rows.shape[0] == 1
        return np.ascontiguousarray(taken.swapaxes(-1, -2) if is_across else taken)

    @staticmethod
    def _pixels(at: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.floor(at + 0.5).astype(np.intp)

    def image(self, source: NDArray[np.float32], blur: float = 0.0) -> NDArray[np.float32]:
        """Resample a (C, H, W) image to (C, S, S), bilinear, its border continued outside.

        Where it shrinks, a blur first takes out what the crop's pixels could not show.

        Args:
            source: (C, H, W) float32.
            blur: standard deviation of a Gaussian blur, in crop pixels.
        """
        sigma = self._sigma(blur)
        rows, columns = self.window((source.shape[1], source.shape[2]), blur)
        window, y, x = source[:, rows, columns], rows.start, columns.start
        if sigma > 0.25:  # less leaves 99.9 % of a pixel where it was
            window = gaussian_blur(window, sigma)
        if self.exact:
            return self.moved(-y, -x).nearest(window)
        return self._bilinear(window, y, x)

    def window(self, shape: tuple[int, ...], blur: float = 0.0) -> tuple[slice, ...]:
        """Rows and columns of a source of ``shape`` (H, W) that :meth:`image` and the labels need.

        A crop cut from that window by the warp :meth:`moved` there is the same, bit for bit.
        """
        border = math.ceil(3 * self._sigma(blur)) + 1
        slices = []
        for at, size in zip((self.rows, self.columns), shape, strict=True):
            # The map is affine, so the extremes lie in two opposite corners of the four.
            corners = at[[0, 0, -1, -1], [0, -1, 0, -1]]
            start = min(max(math.floor(corners.min()) - border, 0), size - 1)
            stop = min(max(math.ceil(corners.max()) + border + 1, start + 1), size)
            slices.append(slice(start, stop))
        return tuple(slices)

    def moved(self, y: int, x: int) -> Warp:
        """The same crop of a source that is moved by ``y`` rows and ``x`` columns."""
        return replace(self, rows=self.rows + y, columns=self.columns + x)

    def _sigma(self, blur: float) -> float:
        """Standard deviation in source pixels of the blur that a crop is given."""
        return math.hypot(blur * self.step, 0.5 * math.sqrt(max(self.step**2 - 1, 0)))

    def _bilinear(self, window: NDArray[np.float32], y: int, x: int) -> NDArray[np.float32]:
        import torch

        height, width = window.shape[1:]
        grid = np.empty((1, self.rows.size, self.rows.size, 2), np.float32)
        grid[0, ..., 0] = (self.columns - (x - 0.5)) * (2 / width) - 1
        grid[0, ..., 1] = (self.rows - (y - 0.5)) * (2 / height) - 1
        warped = torch.nn.functional.grid_sample(
            torch.from_numpy(window)[None],
            torch.from_numpy(grid),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        result: NDArray[np.float32] = warped[0].numpy()
        return result


def gaussian_blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur the two last axes of ``image`` by ``sigma`` pixels, its border continued outside."""
    radius = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    # Not scipy.ndimage.gaussian_filter1d, which rounds otherwise: crops would no longer be the same
    # to the last bit. It takes 0.5 to 0.7 times as long (2026-11-27, sigma .5 to 3, 3 x 256 x 256).
    for axis in (-2, -1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (radius, radius)
        padded = np.pad(image, pad, mode="edge")
        size = image.shape[axis]
        image = _along(padded, axis, radius, size) * np.float32(weights[0])
        for k in range(1, radius + 1):
            pair = _along(padded, axis, radius - k, size) + _along(padded, axis, radius + k, size)
            pair *= np.float32(weights[k])
            image += pair
    return image


def _along(array: NDArray[Any], axis: int, start: int, size: int) -> NDArray[Any]:
    slices = [slice(None)] * array.ndim
    slices[axis] = slice(start, start + size)
    return array[tuple(slices)]

"""The warp of a crop of a volume: that of its planes, and which planes it shows.

Planes are taken as they are, or in reversed order; between planes nothing is interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.crops.warp import Warp

if TYPE_CHECKING:
    from spatialembed.data.crops.augmentation import Change


@dataclass(frozen=True)
class VolumeWarp:
    """Where each voxel of a crop comes from; its methods are those of :class:`Warp`."""

    planes: NDArray[np.intp]
    """(P,) planes of the source, which may lie outside."""
    plane: Warp
    """Within each plane."""

    @classmethod
    def about(cls, center: tuple[float, ...], change: Change, shape: tuple[int, int]) -> VolumeWarp:
        """The warp of a crop of ``shape`` (planes, side) about a voxel (z, y, x) of the source."""
        depth, size = shape
        z, y, x = center
        planes = math.floor(z - (depth - 1) / 2 + 0.5) + np.arange(depth)
        plane = Warp.about((y, x), change, size)
        return cls(planes[::-1] if change.upturned else planes, plane)

    def inside(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(P, S, S), what lies inside of a source of ``shape`` (Z, H, W)."""
        depth = (self.planes >= 0) & (self.planes < shape[0])
        return depth[:, None, None] & self.plane.inside(shape[1:])

    def nearest(self, source: NDArray[Any]) -> NDArray[Any]:
        """Nearest voxels (..., P, S, S) of a source (..., Z, H, W)."""
        return self.plane.nearest(self._taken(source))

    def image(self, source: NDArray[np.float32], blur: float = 0.0) -> NDArray[np.float32]:
        """Resample a (C, Z, H, W) volume to (C, P, S, S), plane by plane."""
        taken = self._taken(source)
        flat = self.plane.image(taken.reshape(-1, *taken.shape[2:]), blur)
        return flat.reshape(*taken.shape[:2], *flat.shape[1:])

    def window(self, shape: tuple[int, ...], blur: float = 0.0) -> tuple[slice, ...]:
        """Planes, rows and columns of a source of ``shape`` (Z, H, W) that a crop needs."""
        first = min(max(int(self.planes.min()), 0), shape[0] - 1)
        last = min(max(int(self.planes.max()) + 1, first + 1), shape[0])
        return slice(first, last), *self.plane.window(shape[1:], blur)

    def moved(self, z: int, y: int, x: int) -> VolumeWarp:
        """The same crop of a source that is moved by so many planes, rows and columns."""
        return replace(self, planes=self.planes + z, plane=self.plane.moved(y, x))

    def _taken(self, source: NDArray[Any]) -> NDArray[Any]:
        return source.take(self.planes.clip(0, source.shape[-3] - 1), -3)

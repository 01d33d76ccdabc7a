"""How the objects of a volume came about, plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.embedding import clamped, embed_pixels, per_axis, sigma_to_margin, sigmoid
from spatialembed.pictures.colors import RGB, colors_of_objects
from spatialembed.pictures.explanation import Explanation
from spatialembed.pictures.planes import Plane, across, proportions, volume_rgb

if TYPE_CHECKING:
    from spatialembed.instances import Instances


CLEAR = 480
"""Pixels across that small planes are enlarged to about: a key stays legible and a line thin."""


class VolumeExplanation:
    """How the objects of a volume came about.

    Args:
        image: (Z, H, W, C) of any type, as a person knows it (not normalised).
        output: (3 + n_sigma + K, Z, H, W) raw output of the network.
        found: what :func:`spatialembed.clustering.cluster` made of ``output``.
        n_sigma: bandwidth channels, 1 or 3.
        pitch: coordinate step per voxel along (x, y, z).
        margin: radius of a fixed bandwidth in voxels of the least pitch, None where it is learned.
        spacing: micrometres between voxels along (z, y, x), by which pictures across planes have
            true proportions; None for cubes.
    """

    def __init__(
        self,
        image: NDArray[Any],
        output: NDArray[Any],
        found: Instances,
        n_sigma: int,
        pitch: Sequence[float],
        margin: float | None = None,
        spacing: Sequence[float] | None = None,
    ) -> None:
        self.image = image
        self.output = output
        self.found = found
        self.n_sigma = n_sigma
        self.pitch = per_axis(pitch, 3)
        self.margin = margin
        self.ratios = proportions(spacing)

    def at(self, plane: Plane) -> PlaneExplanation:
        """What pictures show of a plane."""
        return PlaneExplanation(self, plane)

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(Z, H, W, 3)."""
        return volume_rgb(self.image)

    @cached_property
    def colors(self) -> RGB:
        """(N, 3) of the objects, the same in all planes."""
        return colors_of_objects(self.found.label_map)[1][1:]

    def ellipsoid(self, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Center and half axes (3,) of object ``k`` in voxels, order x, y, z."""
        seed = self._seed(k)
        z, y, x = seed
        column = np.asarray(self.output[:, z, y, x], np.float32)
        steps = np.array(self.pitch)
        center = embed_pixels(column[:3, None], np.array(seed)[:, None], self.pitch)[:, 0] / steps
        if self.margin is not None:
            return center, self.margin * min(self.pitch) / steps
        sigma = np.broadcast_to(clamped(column[3 : 3 + self.n_sigma]), 3)
        return center, sigma_to_margin(sigma, 1) / steps

    def _seed(self, k: int) -> tuple[int, ...]:
        """The voxel that an object grew from, as `found_seeds` has it."""
        window = self.found.window(k)
        scores = self.output[3 + self.n_sigma + self.found.classes[k]][window]
        scores = np.where(self.found.mask(k), sigmoid(np.asarray(scores, np.float32)), -1)
        inside = np.unravel_index(int(np.nanargmax(scores)), scores.shape)
        return tuple(int(i) + axis.start for i, axis in zip(inside, window, strict=True))


class PlaneExplanation(Explanation):
    """How the objects came about that a plane of a volume cuts, as pictures in true proportions.

    Offsets, margins and where voxels land are those along the plane: centers and margins of whole
    objects, as they lie in the volume, and not of what is cut of them.

    Attributes:
        rows: (N,) of the volume's instances, those that the plane cuts.
    """

    def __init__(self, volume: VolumeExplanation, plane: Plane) -> None:
        dropped = 2 - plane.axis  # channels are in the order x, y, z
        self._kept = [d for d in range(3) if d != dropped]
        bandwidths = [3] if volume.n_sigma == 1 else [3 + d for d in self._kept]
        seeds = list(range(3 + volume.n_sigma, len(volume.output)))
        pitch = [volume.pitch[d] for d in self._kept]
        cut = Plane(plane.axis + 1, plane.at).of(volume.output)[self._kept + bandwidths + seeds]
        self.rows, found = _in_plane(volume.found, plane)
        self.volume = volume
        super().__init__(plane.of(volume.image), cut, found, len(bandwidths), pitch)
        self.rgb = plane.of(volume.rgb)
        rows, columns = across(volume.ratios, plane.axis)
        height, width = found.label_map.shape
        self.enlarged = max(1, round(CLEAR / max(height * rows, width * columns)))
        self.ratios = rows * self.enlarged, columns * self.enlarged
        self.where = f" at {plane}"

    @cached_property
    def colors(self) -> RGB:
        """(N, 3) of the objects, those of the volume."""
        return self.volume.colors[self.rows]

    @cached_property
    def _ellipses(self) -> tuple[NDArray[Any], NDArray[Any]]:
        if not len(self.rows):
            return np.zeros((0, 2)), np.zeros((0, 2))
        centers, margins = zip(*map(self.volume.ellipsoid, self.rows), strict=True)
        return np.stack(centers)[:, self._kept], np.stack(margins)[:, self._kept]


def _in_plane(found: Instances, plane: Plane) -> tuple[NDArray[np.intp], Instances]:
    """Rows of the instances that a plane cuts, and what is cut of them."""
    from spatialembed.instances import Instances

    labels = plane.of(found.label_map)
    there = np.bincount(labels.ravel(), minlength=len(found) + 1) > 0
    there[0] = False
    rows, numbers = np.flatnonzero(there) - 1, np.cumsum(there, dtype=np.int32) * there
    return rows, Instances.from_label_map(
        numbers[labels].astype(np.int32), found.scores[rows], found.classes[rows], found.class_names
    )

"""Networks on volumes of any size: tiles.py along three axes, where only planes are enlarged."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from jaxtyping import Float

from spatialembed.inference.network import Network
from spatialembed.inference.resizing import resized, sample_into, sampled
from spatialembed.inference.tiles import memory, spans
from spatialembed.inference.zoom import Enlarged
from spatialembed.kernels.foreground import as_float32

STEP = 32
"""Tiles and halos are multiples of this, which the strides of networks of volumes divide."""

HALO = STEP
"""Voxels around a tile that the network sees too."""

LEAST = 2 * HALO + 2 * STEP
"""Least side of what a network is given at once of a volume that is cut."""

BYTES_PER_VOXEL = 600
"""Of memory while a network runs."""

MOST = 2**23
"""Voxels that a processor is given at once, however much memory it has."""


def tiled_volume(
    network: Network,
    volume: Float[np.ndarray, "C Z H W"],
    to: Enlarged,
    voxels: int | None = None,
) -> Float[np.ndarray, "M Z H W"]:
    """A network's output on a volume of any size whose planes it sees enlarged, at its voxels.

    As :func:`~spatialembed.inference.tiles.tiled` of an image.

    Args:
        network: from a volume to its output at the same size.
        volume: (C, Z, H, W) normalised.
        to: as large as the network sees a plane.
        voxels: that the network is given at once, halo included, but 128 a side in any case; None
            for as many as half of the memory allows, and :data:`MOST` at most.

    Returns:
        (M, Z, H, W) float32.
    """
    depth, (height, width) = volume.shape[1], to.shape
    most = min(memory() // 2 // BYTES_PER_VOXEL, MOST) if voxels is None else voxels
    if depth * height * width <= most:
        return _sampled(as_float32(network(resized_volume(volume, to))), to)
    deep, side = _sides(depth, most)
    result: np.ndarray | None = None
    for planes, rows, columns in product(
        spans(depth, deep, HALO, STEP),
        spans(height, side, HALO, STEP),
        spans(width, side, HALO, STEP),
    ):
        part = as_float32(network(resized_volume(volume[:, planes[0]], to, (rows[0], columns[0]))))
        if result is None:
            result = np.empty((len(part), *volume.shape[1:]), np.float32)
        for z in range(planes[1].start, planes[1].stop):
            seen = part[:, z - planes[0].start]
            sample_into(result[:, z], seen, to, (rows[0], columns[0]), (rows[1], columns[1]))
    assert result is not None
    return result


def _sides(depth: int, most: int) -> tuple[int, int]:
    """Planes, and side of them, of tiles of up to ``most`` voxels: cubes, of thin volumes less."""
    cube = max(round(most ** (1 / 3)) // STEP * STEP, LEAST)
    deep = depth if depth <= cube else cube
    return deep, max(math.isqrt(most // deep) // STEP * STEP, LEAST)


def resized_volume(
    volume: np.ndarray, to: Enlarged, window: tuple[slice, slice] | None = None
) -> np.ndarray:
    """The planes of a volume (C, Z, H, W) as :func:`~spatialembed.inference.resizing.resized`."""
    planes: np.ndarray = resized(volume.reshape(-1, *volume.shape[2:]), to, window)
    return planes.reshape(*volume.shape[:2], *planes.shape[1:])


def _sampled(maps: np.ndarray, at: Enlarged) -> np.ndarray:
    planes: np.ndarray = sampled(maps.reshape(-1, *maps.shape[2:]), at)
    return planes.reshape(*maps.shape[:2], *planes.shape[1:])

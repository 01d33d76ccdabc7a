"""Networks on images that they cannot take at once: in tiles with a halo, put together again.

A raw output says of each pixel where it lies from its object's center, so that tiles fit together
as they are, and clustering sees one image without seams. The halo lets each pixel see what is
around it, and tiles begin where every network's squares of pixels do, so that an output differs
from that of the whole image by what reaches further than the halo alone.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from spatialembed.embedding import Array
from spatialembed.inference.network import CardNetwork, Network
from spatialembed.kernels.foreground import as_float32

STEP = 128
"""Tiles and halos are multiples of this, which all networks' strides divide."""

HALO = 2 * STEP
"""Pixels around a tile that the network sees too."""

LARGEST = 4096
"""Side of the largest image that is not cut, however much memory there is."""

BYTES_PER_PIXEL = 300
"""Of memory while a network runs; the two networks took 84 and 132, default widths in float32."""

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much memory a container may use, by control groups of version 2 and 1."""

GUESSED = 8 * 1024**3
"""Bytes of memory that are reckoned with where the system does not say."""


def tiled(network: Network, image: Array, side: int | None = None) -> Array:
    """A network's output on an image of any size.

    One tile at a time, also on a card: it is as large as the memory allows, and a batch would be no
    larger.

    Args:
        network: from an image to its output at the same size.
        image: (C, H, W) normalised; of numpy if it has to be cut.
        side: of what the network is given at once, halo included, a multiple of :data:`STEP` and
            above two halos; None for as much as half of the memory allows, the machine's or the
            card's.

    Returns:
        (M, H, W) as the network gives it; of what was cut, float32 of numpy.
    """
    height, width = image.shape[1:]
    side = _side(network) if side is None else side
    if height * width <= side * side:
        return network(image)
    tile = side - 2 * HALO
    output: np.ndarray | None = None
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            top, left = max(0, y - HALO), max(0, x - HALO)
            seen = image[:, top : y + tile + HALO, left : x + tile + HALO]
            part = as_float32(network(np.ascontiguousarray(seen)))
            if output is None:
                output = np.empty((len(part), height, width), np.float32)
            inner = part[:, y - top : y - top + tile, x - left : x - left + tile]
            output[:, y : y + tile, x : x + tile] = inner
    assert output is not None
    return output


def side_within(held: int) -> int:
    """Side of the largest image that is taken at once with so many bytes of memory."""
    side = math.isqrt(held // 2 // BYTES_PER_PIXEL)
    return min(max(side // STEP * STEP, 2 * HALO + STEP), LARGEST)


def _side(network: Network) -> int:
    return network.side if isinstance(network, CardNetwork) else side_within(memory())


def memory() -> int:
    """Bytes that the machine has, or a container of it is allowed.

    Not those free: results must not depend on what else runs.
    """
    try:
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        has = GUESSED
    return min([has, *(int(text) for text in map(_text, LIMITS) if text.isdecimal())])


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

"""Networks on images that they cannot take at once: in tiles with a halo, put together again.

A raw output says of each pixel where it lies from its object's center, so that tiles fit together
as they are, and clustering sees one image without seams. The halo lets each pixel see what is
around it, and tiles begin where every network's squares of pixels do, so that an output differs
from that of the whole image by what reaches further than the halo alone.
"""

from __future__ import annotations

import math
import os
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spatialembed.inference.network import CardNetwork, Network
from spatialembed.inference.resizing import resized, sample_into, sampled
from spatialembed.inference.zoom import Enlarged
from spatialembed.kernels.foreground import as_float32

STEP = 128
"""Tiles and halos are multiples of this, which all networks' strides divide."""

HALO = 2 * STEP
"""Pixels around a tile that the network sees too."""

LEAST = 2 * HALO + 2 * STEP
"""Least side of what a network is given at once of an image that is cut."""

LARGEST = 4096
"""Side of the largest image that is not cut, however much memory a card has."""

MOST = 2304
"""The same on a processor: to clear memory takes it as long as to compute a part again, and what
one tile needed serves the next."""

BYTES_PER_PIXEL = 300
"""Of memory while a network runs; the two networks took 84 and 132, default widths in float32."""

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much memory a container may use, by control groups of version 2 and 1."""

GUESSED = 8 * 1024**3
"""Bytes of memory that are reckoned with where the system does not say."""


def tiled(
    network: Network, image: Float[np.ndarray, "C H W"], to: Enlarged, side: int | None = None
) -> Float[np.ndarray, "M H W"]:
    """A network's output on an image of any size that it sees enlarged, at the image's pixels.

    One tile at a time, enlarged when its turn comes: neither the enlarged image nor what is said of
    it is ever there as a whole, unless it is one tile. All are of one size, by which a runtime
    plans its memory.

    Args:
        network: from an image to its output at the same size.
        image: (C, H, W) normalised.
        to: as large as the network sees it.
        side: of what the network is given at once, halo included, :data:`LEAST` or more; None for
            as much as half of the memory allows, the machine's or the card's, and
            :func:`most_of` at most.

    Returns:
        (M, H, W) float32.
    """
    height, width = to.shape
    side = _side(network) if side is None else side
    if height * width <= side * side:
        whole: np.ndarray = sampled(as_float32(network(resized(image, to))), to)
        return whole
    result: np.ndarray | None = None
    for rows, columns in product(spans(height, side), spans(width, side)):
        seen, core = zip(rows, columns, strict=True)
        part = as_float32(network(resized(image, to, seen)))
        if result is None:
            result = np.empty((len(part), *image.shape[1:]), np.float32)
        sample_into(result, part, to, seen, core)
    assert result is not None
    return result


def spans(length: int, side: int, halo: int = HALO, step: int = STEP) -> list[tuple[slice, slice]]:
    """A line of so many pixels in parts of one length: what each sees, and its core of that."""
    if length <= side:
        return [(slice(0, length), slice(0, length))]
    # The last ends where the line does, so that what is over is the length of all, not one's own.
    steps, over = divmod(length - 2 * halo, step)
    count = -(-steps // ((side - 2 * halo - over) // step))
    last = steps - -(-steps // count)
    starts = [last * k // (count - 1) * step for k in range(count)]
    ends = [start + halo for start in starts[1:]] + [length]
    seen = length - starts[-1]
    return [
        (slice(start, start + seen), slice(before, end))
        for start, before, end in zip(starts, [0, *ends], ends, strict=False)
    ]


def side_within(held: int) -> int:
    """Side of the largest image that is taken at once with so many bytes of memory."""
    side = math.isqrt(held // 2 // BYTES_PER_PIXEL)
    return min(max(side // STEP * STEP, LEAST), LARGEST)


def most_of(network: Network) -> int:
    """Side of the largest image that is given to a network at once."""
    return LARGEST if isinstance(network, CardNetwork) else MOST


def _side(network: Network) -> int:
    if isinstance(network, CardNetwork):
        return network.side
    return min(side_within(memory()), MOST)


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

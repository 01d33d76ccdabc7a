"""Loops over the pixels of pictures, compiled: which objects are near, their lines, their tint."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel

KEPT = 2**14
"""Pairs that are known to have been found already; a power of two."""


@kernel()
def pairs_at(ranks: np.ndarray, steps: np.ndarray, count: int) -> np.ndarray:
    """Which objects are found at some displacements from each other's pixels.

    Args:
        ranks: (H, W) integer, objects from 1 to ``count``, 0 is background.
        steps: (S, 2) displacements in y, not negative, and x.

    Returns:
        (N,) int64, of each pair the higher rank times ``count + 1`` plus the lower; some repeat.
    """
    height, width = ranks.shape
    found, n = np.empty(1024, np.int64), 0
    known = np.full(KEPT, -1, np.int64)  # a pair is met at each pixel of a border
    for y in range(height):
        for x in range(width):
            one = np.int64(ranks[y, x])
            if one == 0:
                continue
            for s in range(len(steps)):
                below, beside = y + steps[s, 0], x + steps[s, 1]
                if below >= height or beside < 0 or beside >= width:
                    continue
                other = np.int64(ranks[below, beside])
                if other == one or other == 0:
                    continue
                pair = max(one, other) * (count + 1) + min(one, other)
                if known[pair & (KEPT - 1)] == pair:
                    continue
                known[pair & (KEPT - 1)] = pair
                if n == len(found):
                    more = np.empty(2 * n, np.int64)
                    more[:n] = found
                    found = more
                found[n] = pair
                n += 1
    return found[:n]


@kernel()
def chosen_apart(pairs: np.ndarray, distance: np.ndarray, count: int) -> np.ndarray:
    """For each object a color that is far from those of the objects before it that are near.

    Args:
        pairs: (N,) as of :func:`pairs_at`, each once, ascending.
        distance: (P, P) float64 between the colors of a palette.
        count: number of objects.

    Returns:
        (count + 1,) int64 colors, that of background is 0.
    """
    chosen, palette, i = np.zeros(count + 1, np.int64), len(distance), 0
    for k in range(1, count + 1):
        chosen[k] = (k - 1) % palette
        apart = np.full(palette, np.inf)
        while i < len(pairs) and pairs[i] // (count + 1) == k:
            near = chosen[pairs[i] % (count + 1)]
            apart = np.minimum(apart, distance[:, near])
            i += 1
        bound = 0.85 * apart.max()
        for step in range(palette):
            color = (k - 1 + step) % palette
            if apart[color] >= bound:
                chosen[k] = color
                break
    return chosen


@kernel()
def near_borders(labels: np.ndarray, thickness: int) -> np.ndarray:
    """(H, W) bool, pixels with another label at most so far along their row or column."""
    height, width = labels.shape
    line = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            if x and labels[y, x] != labels[y, x - 1]:
                line[y, max(x - thickness, 0) : x + thickness] = True
            if y and labels[y, x] != labels[y - 1, x]:
                line[max(y - thickness, 0) : y + thickness, x] = True
    return line


@kernel()
def tint(
    rgb: np.ndarray, ranks: np.ndarray, line: np.ndarray, colors: np.ndarray, alpha: np.float32
) -> np.ndarray:
    """A picture whose objects have colors: opaque on lines, mixed in by ``alpha`` elsewhere.

    Args:
        rgb: (H, W, 3) uint8.
        ranks: (H, W) integer rows of ``colors``, 0 is background.
        line: (H, W) bool.
        colors: (N, 3) uint8.
        alpha: from 0 to 1.
    """
    height, width = ranks.shape
    result = rgb.copy()
    one, half = np.float32(1), np.float32(0.5)
    for y in range(height):
        for x in range(width):
            rank = ranks[y, x]
            if rank:
                share = one if line[y, x] else alpha
                for c in range(3):
                    mixed = rgb[y, x, c] * (one - share) + colors[rank, c] * share
                    result[y, x, c] = np.uint8(mixed + half)
    return result

"""The compiled form of terms/objects.py: the objects of a batch, by a counting sort of ids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel


@kernel(parallel=True)
def gather_pixels(
    labels: np.ndarray[Any, Any], lowest: int, span: int
) -> tuple[np.ndarray[Any, Any], ...]:
    """The first five of ``BatchObjects`` (terms/objects.py), of (B, P) ids.

    The ids are ``span`` many, from ``lowest`` on.

    A counting sort: several times as fast on the CPU as torch's sort and gathers. It keeps the
    order of pixels within an object, as a stable sort does, and with it that of all sums.
    """
    images, pixels = labels.shape
    table = np.zeros((images, span), np.int64)
    for b in prange(images):
        for p in range(pixels):
            table[b, labels[b, p] - lowest] += 1
    objects = own = 0
    for b in range(images):
        if 0 <= -lowest < span:
            table[b, -lowest] = 0
        for i in range(span):
            objects += table[b, i] > 0
            own += table[b, i]
    counts, image = np.empty(objects, np.int64), np.empty(objects, np.int64)
    index, at = np.zeros((images, span), np.int32), np.zeros((images, span), np.int64)
    k = start = 0
    for b in range(images):
        for i in range(span):
            if table[b, i]:
                counts[k], image[k] = table[b, i], b
                index[b, i], at[b, i] = k, start
                k += 1
                start += table[b, i]
    pixel, owner = np.empty(own, np.int64), np.empty(own, np.int64)
    object_of = np.full(images * pixels, -1, np.int32)
    for b in prange(images):
        for p in range(pixels):
            if labels[b, p]:
                i = labels[b, p] - lowest
                to, k = at[b, i], index[b, i]
                pixel[to], owner[to], object_of[b * pixels + p] = b * pixels + p, k, k
                at[b, i] += 1
    return pixel, owner, counts, image, object_of

"""Memory that kernels of a thread use again at each call.

glibc gives large pieces back after each call, and the system clears each page that it gives anew:
that took a fifth of the loss's time. What a caller gets to keep is made by NumPy, and not by torch
or in a kernel: of 4 MB and more it asks for huge pages.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np


class _Kept(threading.local):
    """Each thread has its own."""

    numbers = np.empty(0, np.float32)


_kept = _Kept()


def scratch(*shapes: Sequence[int]) -> list[np.ndarray]:
    """float32 arrays of these shapes, of any content, good until the thread's next call."""
    sizes = [math.prod(shape) for shape in shapes]
    need = sum(sizes)
    if not need <= len(_kept.numbers) <= 4 * need:  # nor is a large call's kept for small ones
        _kept.numbers = np.empty(need, np.float32)
    ends = np.cumsum(sizes)
    parts = np.split(_kept.numbers[:need], ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

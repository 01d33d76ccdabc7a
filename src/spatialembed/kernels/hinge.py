"""The Lovász hinge of one mask, compiled: its value and its derivative in every error."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.sort import largest_first

LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A key behind that of any error."""


@kernel()
def hinge_steps(
    inside: np.ndarray,
    outside: np.ndarray,
    step_in: np.ndarray,
    step_out: np.ndarray,
    scratch: np.ndarray,
) -> float:
    """Lovász hinge of one mask from its errors, and its derivative in each of them.

    The closed forms of :mod:`spatialembed.lovasz`: worst first, an error inside weighs ``1/U``
    and one outside ``I/(U(U−1))``; nothing weighs once all those inside have come, nor does an
    error of 0.

    Args:
        inside, outside: float32 errors of at least 0.
        step_in, step_out: float32 arrays of their lengths that the derivatives are written to.
        scratch: uint64, thrice as many as there are errors.
    """
    size = len(inside)
    worst_in = largest_first(inside, scratch)
    worst_out = largest_first(outside, scratch[size:])
    step_in[:] = 0
    step_out[:] = 0
    # float64, as in lovasz.py: small steps add up over hundreds of thousands of pixels.
    union, total = np.float64(size), 0.0
    j = 0
    for i in range(size):
        # Keys rise as errors fall; their upper halves compare as the errors do.
        key = worst_in[i] if i < len(worst_in) else LAST
        while j < len(worst_out) and worst_out[j] >> np.uint64(32) < key >> np.uint64(32):
            to = np.uint32(worst_out[j])
            union += 1
            step = (size - i) / (union * (union - 1))
            total += step * outside[to]
            step_out[to] = step
            j += 1
        if key != LAST:
            step = 1 / union
            total += step * inside[np.uint32(key)]
            step_in[np.uint32(key)] = step
    return total

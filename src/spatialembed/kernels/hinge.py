"""The Lovász hinge of one mask, compiled: its value and its derivative in every error."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.sort import largest_first


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
        inside: float32 errors of at least 0.
        outside: the same, worst first.
        step_in, step_out: float32 arrays of their lengths that the derivatives are written to.
        scratch: uint64, thrice as many as there are inside.
    """
    size = len(inside)
    worst_in = largest_first(inside, scratch)
    step_in[:] = 0
    total, j = 0.0, 0  # float64, as in lovasz.py: small steps add up over thousands of pixels
    for i in range(len(worst_in)):
        at = np.uint32(worst_in[i])
        error = inside[at]
        while j < len(outside) and outside[j] > error:
            step_out[j] = size - i
            j += 1
        step_in[at] = np.float32(1) / np.float32(size + j)
        total += error * step_in[at]
    step_out[j:] = size - len(worst_in)
    return total + _steps_outside(outside, step_out, size)


@kernel(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _steps_outside(outside: np.ndarray, step: np.ndarray, size: int) -> float:
    """From each error's intersection to its step, in place; the hinge's part of them."""
    total = 0.0
    for j in range(len(outside)):
        union = np.float32(size + j)
        step[j] = step[j] / (union * (union + np.float32(1)))
        total += np.float64(step[j] * outside[j])
    return total

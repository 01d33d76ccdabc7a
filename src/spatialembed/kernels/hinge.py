"""The Lovász hinge of one mask, compiled: its value and its derivative in every error."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.sort import falling_key


@kernel()
def add_keys(errors: np.ndarray, before: int, keys: np.ndarray, n: int) -> int:
    """Add a key for each error to the n that are there; how many there are then.

    Args:
        errors: float32 of at least 0.
        before: place of the first of them.
        keys: uint64.
        n: number of keys.
    """
    bits = errors.view(np.uint32)
    for e in range(len(errors)):
        keys[n + e] = falling_key(bits[e], before + e)
    return n + len(errors)


@kernel()
def hinge_steps(keys: np.ndarray, size: int, scratch: np.ndarray, step: np.ndarray) -> float:
    """Lovász hinge of one mask from its errors, and its derivative in each of them.

    The closed forms of :mod:`spatialembed.lovasz`: worst first, an error inside weighs ``1/U``
    and one outside ``I/(U(U−1))``; nothing weighs once all those inside have come, nor does an
    error of 0.

    Args:
        keys: uint64 of :func:`add_keys`, sorted; the ``size`` ones inside have the first places.
        size: pixels of the mask.
        scratch: uint64, as many.
        step: float32 that the derivatives are written to, by place.
    """
    n, inside = len(keys), np.int32(size)
    left, error = scratch.view(np.int32)[:n], scratch.view(np.float32)[n : 2 * n]
    bits = error.view(np.uint32)
    for i in range(n):
        left[i] = inside  # of those inside, this one included
        inside -= np.int32(np.uint32(keys[i]) < size)
        bits[i] = ~np.uint32(keys[i] >> np.uint64(32))
    total = _steps(keys, size, left, error)
    for i in range(n):
        step[np.uint32(keys[i])] = error[i]
    return total


@kernel(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _steps(keys: np.ndarray, size: int, left: np.ndarray, error: np.ndarray) -> float:
    """From each error to its step, in place; the hinge."""
    total = 0.0  # float64, as in lovasz.py: small steps add up over thousands of pixels
    for i in range(len(keys)):
        is_in = np.uint32(keys[i]) < size
        union, rest = np.float32(i + left[i]), np.float32(left[i])
        own = np.float32(0) if error[i] <= 0 else np.float32(1)
        step = (own if is_in else rest) / (
            union * (np.float32(1) if is_in else union + np.float32(1))
        )
        total += np.float64(step * error[i])
        error[i] = step
    return total

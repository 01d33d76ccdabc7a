"""The compiled form of terms/seed.py: squared errors of the seed maps, and their gradient."""

from __future__ import annotations

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel


@kernel(parallel=True)
def seed_errors(
    score: np.ndarray,
    valid: np.ndarray,
    object_of: np.ndarray,
    pixel: np.ndarray,
    start: np.ndarray,
    phi: np.ndarray,
    kind: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted squared errors of each image, and its number of pixels that take part.

    Args:
        score: (B, K, P) float32 seed scores; half the gradient in their logits takes their place.
        valid: (B, P) pixels that take part.
        object_of: (B, P) int32 object of every pixel, −1 for none.
        pixel: (own,) flat pixels of the objects, image by image.
        start: (B + 1,) where each image's begin.
        phi: (own,) float32 target at these.
        kind: (own,) class of each; empty if all are of class 0.
        weight: (K,) float32 of pixels of objects.
    """
    images, classes, pixels = score.shape
    errors, many = np.zeros(images), np.zeros(images)
    for b in prange(images):
        many[b] = valid[b].sum()
        for c in range(classes):
            errors[b] += _off_objects(score[b, c], valid[b], object_of[b])
            at = score[b, c]
            for i in range(start[b], start[b + 1]):
                p = np.uint64(pixel[i] - b * pixels)
                is_its = c == (kind[i] if len(kind) else 0)
                w = weight[c] if is_its else np.float32(1)
                error = at[p] - (phi[i] if is_its else np.float32(0))
                errors[b] += w * error * error
                at[p] = w * error * at[p] * (np.float32(1) - at[p])
    return errors, many


@kernel(fastmath={"reassoc", "contract", "nsz"})
def _off_objects(score: np.ndarray, valid: np.ndarray, object_of: np.ndarray) -> float:
    """Errors of the pixels off all objects, replaced by half their gradient."""
    total = 0.0
    for p in range(len(score)):
        s = score[p]
        own = object_of[p] >= 0
        taken = s if valid[p] and not own else np.float32(0)
        squared = taken * taken
        total += np.float64(squared)
        score[p] = s if own else squared * (np.float32(1) - s)
    return total

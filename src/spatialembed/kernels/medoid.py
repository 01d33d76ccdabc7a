"""The medoid of many clouds of points, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel


@kernel(parallel=True)
def medoid_indices(
    points: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Index of the medoid of each run of points.

    Exact without all n² distances (Newling & Fleuret, *A sub-quadratic exact medoid algorithm*,
    AISTATS 2017): a point's sum is at least ``|sum(other) − n · distance|`` by the triangle
    inequality, so most points are ruled out by the sums of a few. The first of equal ones wins.
    """
    objects = len(starts) - 1
    chosen = np.zeros(objects, np.int64)
    for k in prange(objects):
        cloud = points[starts[k] : starts[k + 1]]
        n, dims = cloud.shape
        bound = np.zeros(n)
        distance = np.empty(n)
        mean = np.zeros(dims)
        for i in range(n):
            mean += cloud[i] / n
        from_mean = np.zeros(n)
        for i in range(n):
            for d in range(dims):
                from_mean[i] += (cloud[i, d] - mean[d]) ** 2
        best, best_sum = -1, np.inf
        # Those near the mean first: their sums are small, and rule out most others.
        for i in np.argsort(from_mean, kind="mergesort"):
            # Sums equal but for rounding: the first one wins then, whatever the order of sums.
            tolerance = 1e-9 * best_sum if best >= 0 else 0.0
            if bound[i] > best_sum + tolerance:
                continue
            total = 0.0
            for j in range(n):
                squared = 0.0
                for d in range(dims):
                    squared += (cloud[i, d] - cloud[j, d]) ** 2
                distance[j] = np.sqrt(squared)
                total += distance[j]
            for j in range(n):
                bound[j] = max(bound[j], abs(total - n * distance[j]))
            equal = abs(total - best_sum) <= tolerance
            if (equal and i < best) or (not equal and total < best_sum):
                best, best_sum = i, total
        chosen[k] = starts[k] + best
    return chosen

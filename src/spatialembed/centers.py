"""Where an object's center is in training: its centroid, its learned center, or its medoid.

At inference a center is always the embedding of a seed pixel; see ``clustering.py``.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import prange
from torch import Tensor

from spatialembed.compiled import kernel
from spatialembed.threads import as_many_as_torch

Center = Literal["centroid", "learned", "medoid"]
CENTERS: tuple[str, ...] = get_args(Center)


def object_centers(
    kind: Center,
    place: Float[Tensor, "D pixels"],
    pixel_object: Int[Tensor, " pixels"],
    counts: Int[Tensor, " objects"],
) -> Float[Tensor, "D objects"]:
    """Center C_k of each object from where its pixels are.

    Args:
        kind: "centroid", the mean coordinate; "learned", the mean embedding, through which the
            gradient flows (Neven et al., section 3.1.4); "medoid", the object's pixel with the
            least sum of distances to its other pixels (Lalit et al., MIDL 2021).
        place: (D, P) embeddings of the objects' pixels if "learned", else their coordinates.
        pixel_object: (P,) index of each pixel's object, 0 to N − 1.
        counts: (N,) pixels of each object, all at least 1.
    """
    if kind == "medoid":
        return _medoids(place, pixel_object, counts)
    return mean_by_object(place, pixel_object, counts)


def mean_by_object(
    values: Float[Tensor, "C pixels"],
    pixel_object: Int[Tensor, " pixels"],
    counts: Int[Tensor, " objects"],
) -> Float[Tensor, "C objects"]:
    """Mean of ``values`` over each object's pixels, summed in float64."""
    total = values.new_zeros(len(values), len(counts), dtype=torch.float64)
    return (total.index_add(1, pixel_object, values.double()) / counts).to(values.dtype)


def _medoids(
    coordinate: Float[Tensor, "D pixels"],
    pixel_object: Int[Tensor, " pixels"],
    counts: Int[Tensor, " objects"],
) -> Float[Tensor, "D objects"]:
    order = pixel_object.argsort(stable=True)
    points = coordinate[:, order].T.double().cpu().numpy()
    starts = np.concatenate([[0], counts.cumsum(0).cpu().numpy()])
    with as_many_as_torch():
        chosen = torch.from_numpy(_medoid_indices(np.ascontiguousarray(points), starts))
    return coordinate[:, order[chosen.to(order.device)]]


@kernel(parallel=True)
def _medoid_indices(
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
        for i in np.argsort(from_mean, kind="mergesort"):
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

"""Where an object's center is in training: its centroid, its learned center, or its medoid.

At inference a center is always the embedding of a seed pixel; see ``clustering.py``.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.kernels.medoid import medoid_indices
from spatialembed.kernels.threads import as_many_as_torch

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
    """Mean of ``values`` over each object's pixels, summed in float64.

    float32 sums over a mask of 300,000 pixels were off by a thousandth.
    """
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
        chosen = torch.from_numpy(medoid_indices(np.ascontiguousarray(points), starts))
    return coordinate[:, order[chosen.to(order.device)]]

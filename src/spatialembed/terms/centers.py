"""Where an object's center is in training: its centroid, its learned center, or its medoid.

In clustering a center is the embedding of a seed pixel, in refinement the mean embedding of what
clustering found.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.kernels.medoid import medoid_indices
from spatialembed.kernels.threads import as_many_as_torch
from spatialembed.terms.objects import mean_by_object

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
            gradient flows (Neven et al., section 3); "medoid", the object's pixel with the
            least sum of distances to its other pixels (Lalit et al., MIDL 2021).
        place: (D, P) embeddings of the objects' pixels if "learned", else their coordinates.
        pixel_object: (P,) index of each pixel's object, 0 to N − 1, never decreasing.
        counts: (N,) pixels of each object, all at least 1.
    """
    if kind == "medoid":
        return _medoids(place, counts)
    return mean_by_object(place, pixel_object, counts)


def _medoids(
    coordinate: Float[Tensor, "D pixels"], counts: Int[Tensor, " objects"]
) -> Float[Tensor, "D objects"]:
    """By the compiled kernel on any device: coordinates go there, indices come back."""
    points = coordinate.T.cpu().double().numpy()
    starts = np.concatenate([[0], counts.cpu().cumsum(0).numpy()])
    with as_many_as_torch():
        chosen = torch.from_numpy(medoid_indices(np.ascontiguousarray(points), starts))
    return coordinate[:, chosen.to(coordinate.device)]

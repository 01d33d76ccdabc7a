"""The variance term: an object's pixels agree on one bandwidth.

Neven et al. 2019, section 3, the smoothness loss.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from spatialembed.terms.objects import BatchObjects


def variance_term(
    sigma: Float[Tensor, "S own"], mean_sigma: Float[Tensor, "S objects"], objects: BatchObjects
) -> Tensor:
    """Mean over an object's pixels of (σ_i − σ̄_k)², over its image's objects, then over images.

    σ̄_k is detached, as in the paper: pixels are drawn to the mean, and not the mean to them.

    *Convention.* Bandwidths are the clamped σ, not exp(10 σ); several channels are averaged. An
    image without objects adds 0 and counts. Nothing is validated. Summed in float64, given in the
    type of σ. By hand: one object of two pixels with σ = 0 and 1 costs ((½)² + (½)²) / 2 = ¼.

    Args:
        sigma: (n_sigma, own) σ of the objects' pixels, in the order of ``objects.pixel``.
        mean_sigma: (n_sigma, N) their means by object.
        objects: the N objects.
    """
    deviation = (sigma - mean_sigma.detach()[:, objects.owner]) ** 2
    # Pixels are weighed: to sum by object and then by image took two sums by index.
    weight = objects.share / objects.counts
    term: Tensor = (deviation.mean(0) * weight[objects.owner]).sum().to(deviation.dtype)
    return term

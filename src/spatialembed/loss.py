"""The joint loss: offsets, bandwidths and seed maps learned together.

Neven et al. 2019, section 3. Each term is a function in a file of its name in terms/:

- *instance*, the Lovász hinge of each object's membership φ against its mask;
- *variance*, by which an object's pixels agree on one bandwidth;
- *seed*, by which every pixel learns how well it points at its center;
- *drift*, of learned centers alone and beyond the paper, which keeps them from moving together.

φ itself, equation 5, is in embedding.py; the hinge in lovasz.py; the three centers in
terms/centers.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from spatialembed.embedding import PITCH, Pitch, seed_maps
from spatialembed.errors import require_number
from spatialembed.terms.centers import CENTERS, Center
from spatialembed.terms.compiled import compiled_terms
from spatialembed.terms.joint import Options, joint_terms
from spatialembed.terms.label_types import as_integers
from spatialembed.terms.triton_check import terms_on_card


class SpatialEmbeddingLoss(nn.Module):
    """Joint loss of offsets, bandwidths and seed maps for images of any size and dimension.

    *Convention.* Raw outputs (B, C, *spatial) against label masks (B, *spatial). Terms are scalars,
    each the mean over images, an image without objects adding 0 to all but the seed term; "total"
    is their weighted sum. Computed in float32 whatever the autocast, float64 staying float64; sums
    over objects run in float64. Values of the output are not validated: NaN gives NaN or is left
    out. By hand: an output of zeros on an image without objects has a "seed", and a "total", of
    (½ − 0)² = ¼, the other terms being 0.

    Args:
        n_sigma: bandwidth channels of the output: 1 (circular margin) or D (elliptical).
        center: "centroid", "learned" (mean embedding) or "medoid" of an object's pixels.
        foreground_weight: weight of object pixels in the seed term, one number or one a class.
        instance_weight: weight of the instance term.
        variance_weight: weight of the variance term.
        seed_weight: weight of the seed term.
        pitch: coordinate step per pixel, one for all axes or one each in the order x, y, z.
        margin: radius in pixels of a fixed bandwidth for every object, the paper's baseline;
            None to learn the bandwidth.
        drift_weight: weight of the drift term of learned centers; 0 for the paper's loss.

    Raises:
        ValueError: an option outside of its range.
    """

    def __init__(
        self,
        n_sigma: int = 1,
        center: Center = "centroid",
        foreground_weight: float | Sequence[float] = 10.0,
        instance_weight: float = 1.0,
        variance_weight: float = 10.0,
        seed_weight: float = 1.0,
        pitch: Pitch = PITCH,
        margin: float | None = None,
        drift_weight: float = 10.0,
    ) -> None:
        super().__init__()
        if center not in CENTERS:
            raise ValueError(f"center must be one of {', '.join(CENTERS)}, not {center!r}")
        weights = torch.as_tensor(foreground_weight, dtype=torch.float64, device="cpu").reshape(-1)
        self.weights = {
            "instance": instance_weight,
            "variance": variance_weight,
            "seed": seed_weight,
            "drift": drift_weight,
        }
        numbers = [*weights.tolist(), *self.weights.values()]
        if not all(w >= 0 and math.isfinite(w) for w in numbers):
            raise ValueError("loss weights must be finite and at least 0")
        self.n_sigma = int(require_number(n_sigma, "n_sigma", whole=True))
        self.center: Center = center
        self.foreground_weight: Tensor
        self.register_buffer("foreground_weight", weights, persistent=False)
        self.pitch = pitch
        self.margin = margin

    def forward(
        self,
        output: Float[Tensor, "B C *S"],
        label_mask: Shaped[Tensor, "B *S"],
        class_map: Shaped[Tensor, "B *S"] | None = None,
        ignore: Shaped[Tensor, "B *S"] | None = None,
    ) -> dict[str, Tensor]:
        """Loss of a batch.

        Args:
            output: (B, D + n_sigma + K, *spatial) raw output of the network.
            label_mask: (B, *spatial) object ids, 0 for background, any others in any order; an id
                stands for one object per image. Of any type of integers, or whole numbers.
            class_map: (B, *spatial) class 0 to K − 1 of each object pixel, any value elsewhere;
                may be None with one class. Of types as ``label_mask``.
            ignore: (B, *spatial) bool or numbers: pixels of True, or other than 0, take part in no
                term.

        Returns:
            Scalars "instance", "variance", "seed" and, with learned centers and a weight of it,
            "drift", each unweighted, and their weighted sum "total"; means over the batch (and
            over the objects of each image in the first two).

        Raises:
            TypeError: arrays of numpy.
            ValueError: an output without floating-point numbers, shapes that do not fit each other,
                labels that are not whole numbers, or no class map with several classes, or one with
                a class outside 0 to K − 1 on an object.
        """
        maps = {"label_mask": label_mask, "class_map": class_map, "ignore": ignore}
        for name, given in {"output": output, **maps}.items():
            if given is not None and not isinstance(given, Tensor):
                raise TypeError(
                    f"{name} must be a torch tensor with a batch axis, not {type(given)}"
                )
        with torch.autocast(output.device.type, enabled=False):
            self._check(output, maps)
            valid = torch.ones_like(label_mask, dtype=torch.bool)
            if ignore is not None:
                valid = ~ignore.bool()
            labels = as_integers(label_mask, "label_mask")
            batch = (output, labels, class_map, valid, self._options())
            return terms_on_card(*batch) or compiled_terms(*batch) or joint_terms(*batch)

    def _options(self) -> Options:
        return Options(
            self.n_sigma, self.center, self.pitch, self.margin, self.foreground_weight, self.weights
        )

    def _check(self, output: Tensor, maps: dict[str, Tensor | None]) -> None:
        if not output.is_floating_point():
            raise ValueError(f"a raw output holds floating-point numbers, not {output.dtype}")
        classes = seed_maps(output, self.n_sigma, output.ndim - 2)
        shape = (len(output), *output.shape[2:])
        for name, given in maps.items():
            if given is not None and given.shape != shape:
                raise ValueError(
                    f"{name} has shape {tuple(given.shape)}, the output asks for {tuple(shape)}"
                )
        if classes > 1 and maps["class_map"] is None:
            raise ValueError(f"an output of {classes} classes needs a class_map")
        if len(self.foreground_weight) not in (1, classes):
            raise ValueError(
                f"foreground_weight has {len(self.foreground_weight)} values for {classes} classes"
            )

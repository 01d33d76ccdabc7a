"""The joint loss: offsets, bandwidths and seed maps learned together.

Neven et al. 2019, section 3.1: an *instance* term, the Lovász hinge of each object's membership φ
against its mask; a *variance* term that makes an object's pixels agree on one bandwidth; a *seed*
term that teaches every pixel how well it points at its center.

Learned centers get a fourth, *drift*, beyond the paper: nothing else keeps all embeddings of an
image from moving together. Such a displacement grows over long training, to where bfloat16 knows
positions to several pixels only, and differs between an image and its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from spatialembed.embedding import (
    PITCH,
    Embedded,
    Pitch,
    embed,
    inverse_squared_width,
    pixel_coordinates,
)
from spatialembed.terms.bandwidth import clamped_with_return
from spatialembed.terms.centers import CENTERS, Center, mean_by_object, object_centers
from spatialembed.terms.instance import instance_term
from spatialembed.terms.labels import as_integers
from spatialembed.terms.objects import BatchObjects, at_pixels, gather_objects


class SpatialEmbeddingLoss(nn.Module):
    """Joint loss of offsets, bandwidths and seed maps for images of any size and dimension.

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
        weights = torch.as_tensor(foreground_weight, dtype=torch.float64).reshape(-1)
        self.weights = {
            "instance": instance_weight,
            "variance": variance_weight,
            "seed": seed_weight,
            "drift": drift_weight,
        }
        numbers = [*weights.tolist(), *self.weights.values()]
        if not all(w >= 0 and math.isfinite(w) for w in numbers):
            raise ValueError("loss weights must be finite and at least 0")
        self.n_sigma = n_sigma
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
        """Loss of a batch; see METHOD, section 2.

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
            ValueError: shapes that do not fit each other, labels that are not whole numbers, or no
                class map with several classes, or one with a class outside 0 to K − 1 on an object.
        """
        maps = {"label_mask": label_mask, "class_map": class_map, "ignore": ignore}
        for name, given in {"output": output, **maps}.items():
            if given is not None and not isinstance(given, Tensor):
                raise TypeError(
                    f"{name} must be a torch tensor with a batch axis, not {type(given)}"
                )
        with torch.autocast(output.device.type, enabled=False):
            embedded = embed(output, self.n_sigma, self.pitch, self.margin, batched=True)
            self._check(embedded, maps)
            valid = torch.ones_like(label_mask, dtype=torch.bool)
            if ignore is not None:
                valid = ~ignore.bool()
            objects = gather_objects(as_integers(label_mask, "label_mask"), valid)
            center = self._centers(embedded.position.flatten(2), objects, valid.shape[1:])
            instance, variance, phi = self._object_terms(embedded, center, objects, valid)
            seed = self._seed_term(embedded.seed, objects, phi, class_map, valid)
            terms = {"instance": instance, "variance": variance, "seed": seed}
            if self.center == "learned" and self.weights["drift"]:
                terms["drift"] = self._drift(center, objects, valid.shape[1:])
            total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}

    def _object_terms(
        self,
        embedded: Embedded,
        center: Float[Tensor, "D objects"],
        objects: BatchObjects,
        valid: Bool[Tensor, "B *S"],
    ) -> tuple[Tensor, Tensor, Float[Tensor, " own"]]:
        """Instance and variance term, and φ of each object pixel to its own object."""
        position = embedded.position.flatten(2)  # (B, D, P)
        sigma = clamped_with_return(at_pixels(embedded.sigma.flatten(2), objects))  # (n_sigma, own)
        mean_sigma = mean_by_object(sigma, objects.owner, objects.counts)
        width = inverse_squared_width(mean_sigma)  # (n_sigma, N)
        instance, phi = instance_term(position, center, width, objects, valid.flatten())
        deviation = (sigma - mean_sigma.detach()[:, objects.owner]) ** 2
        weight = objects.share / objects.counts  # of a pixel, in float64 as the sum
        variance = (deviation.mean(0) * weight[objects.owner]).sum().to(deviation.dtype)
        return instance, variance, phi

    def _centers(
        self, position: Float[Tensor, "B D pixels"], objects: BatchObjects, shape: torch.Size
    ) -> Float[Tensor, "D objects"]:
        if self.center == "learned":
            own = at_pixels(position, objects)
        else:
            own = self._coordinates(objects, shape, like=position)
        return object_centers(self.center, own, objects.owner, objects.counts)

    def _coordinates(
        self, objects: BatchObjects, shape: torch.Size, like: Tensor
    ) -> Float[Tensor, "D own"]:
        grid = pixel_coordinates(shape, self.pitch, like=like).flatten(1)
        own: Tensor = grid[:, objects.pixel % grid.shape[1]]
        return own

    def _drift(
        self, center: Float[Tensor, "D objects"], objects: BatchObjects, shape: torch.Size
    ) -> Tensor:
        """Squared mean displacement of an image's centers from their objects' centroids."""
        own = self._coordinates(objects, shape, like=center)
        moved = center - object_centers("centroid", own, objects.owner, objects.counts)
        images = max(objects.images, 1)
        mean = moved.new_zeros(len(moved), images, dtype=torch.float64)
        mean = mean.index_add(1, objects.image, moved.double() * objects.share * images)
        drift: Tensor = (mean**2).sum() / images
        return drift.to(center.dtype)

    def _seed_term(
        self,
        logits: Float[Tensor, "B K *S"],
        objects: BatchObjects,
        phi: Float[Tensor, " own"],
        class_map: Shaped[Tensor, "B *S"] | None,
        valid: Bool[Tensor, "B *S"],
    ) -> Tensor:
        """Squared error of each class's seed map: φ on its objects, 0 elsewhere."""
        score = logits.flatten(2).sigmoid()  # (B, K, P)
        images, classes, pixels = score.shape
        kind = torch.zeros_like(objects.owner)
        if class_map is not None and classes > 1:
            kind = as_integers(class_map.flatten()[objects.pixel], "class_map").long()
            if len(kind) and not 0 <= kind.min() <= kind.max() < classes:
                raise ValueError(f"class_map must be 0 to {classes - 1} on every object pixel")
        # Maps of targets and weights, not a gather of the objects' pixels: their gradient is the
        # faster of the two.
        taking_part = valid.flatten(1)
        weight = taking_part.to(score.dtype).unsqueeze(1).repeat(1, classes, 1)
        target = score.new_zeros(score.shape)
        own = objects.pixel
        if classes > 1:
            own = own + ((classes - 1) * (own // pixels) + kind) * pixels  # of (B, K, P)
        weight.view(-1)[own] = self.foreground_weight.to(score).expand(classes)[kind]
        target.view(-1)[own] = phi.to(score.dtype)
        per_image = ((score - target).square() * weight).sum((1, 2))
        return (per_image / taking_part.sum(1).clamp(min=1)).sum() / max(images, 1)

    def _check(self, embedded: Embedded, maps: dict[str, Tensor | None]) -> None:
        shape, classes = embedded.seed[:, 0].shape, embedded.seed.shape[1]
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

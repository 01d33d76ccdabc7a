"""A teacher: a trained model whose output a run learns from, besides the labels.

A label mask says which pixels are an object, and leaves it to the network where they point and how
wide its margin is; a trained network has answers that fit each other. In a first trial, a short
one, this did not help (benchmarks/LOG.md): what weight does, and in how many steps, is open.

The teacher sees the crops of each step, so that a run needs no files of what it says and no other
data, and every change of a crop is the teacher's too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import interpolate, smooth_l1_loss

from spatialembed.console.output import console
from spatialembed.embedding import Embedded, clamped, embed, inverse_squared_width
from spatialembed.errors import UserError
from spatialembed.inference.loading import load_network, model_file, weights_of
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import forward_any_size
from spatialembed.models.folding import folded
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig

WEIGHTS = {"taught_seed": 1.0, "taught_position": 1.0, "taught_bandwidth": 10.0}
"""Of the terms, before the run's own weight of them all. As the loss's of seed and variance."""


class Teacher(nn.Module):
    """A frozen network that says what it would of crops, in the geometry of the one that learns.

    Args:
        network: in evaluation; its weights' type is what it computes in.
        spec: how it is used.
        zoom: by how much crops are enlarged, or shrunk, for it.
        pitch: coordinate step per pixel of a crop along (x, y), of the network that learns.
    """

    def __init__(
        self, network: nn.Module, spec: ModelSpec, zoom: float, pitch: tuple[float, float]
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.spec = spec
        self.zoom = zoom
        self.pitch = pitch

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "B C H W"]) -> Embedded:
        """What it says of normalised crops, pixel by pixel of theirs, float32.

        Resized on the way in and back as :mod:`spatialembed.inference.zoom` does with images.
        """
        height, width = image.shape[-2:]
        lines = [max(1, round(side * self.zoom)) for side in (height, width)]
        weights = next(self.network.parameters())
        seen = interpolate(image, lines, mode="bilinear", antialias=True)
        seen = seen.to(weights.dtype, memory_format=torch.channels_last)
        output = forward_any_size(self.network, seen).float()
        output = interpolate(output, (height, width), mode="bilinear")
        # Its coordinates of a crop's pixels, by how much that was truly enlarged, to whole lines.
        pitch, ratios = self.spec.pitch, (lines[1] / width, lines[0] / height)
        steps = tuple(step * ratio for step, ratio in zip(pitch, ratios, strict=True))
        margin = self.spec.margin and self.spec.margin * min(pitch) / min(steps)
        told = embed(output, self.spec.n_sigma, steps, margin, batched=True)
        # The same places in coordinates of the network that learns, whose lengths are `by` times as
        # long. Numbers, not a tensor, for which a GPU would be waited for.
        by = [own / step for own, step in zip(self.pitch, steps, strict=True)]
        position = [line * b for line, b in zip(told.position.unbind(1), by, strict=True)]
        sigma = [line - math.log(b) / 5 for line, b in zip(told.sigma.unbind(1), by, strict=False)]
        return Embedded(torch.stack(position, 1), torch.stack(sigma, 1), told.seed)


class TaughtLoss(nn.Module):
    """The loss of labels, and distances to what a teacher says.

    Args:
        labels: the loss that is learned by without a teacher.
        teacher: of the same number of bandwidths and classes.
        weight: of all distances together.
    """

    def __init__(self, labels: SpatialEmbeddingLoss, teacher: Teacher, weight: float) -> None:
        super().__init__()
        self.labels = labels
        self.teacher = teacher
        self.weight = weight

    def forward(
        self,
        output: Float[Tensor, "B M H W"],
        label_mask: Shaped[Tensor, "B H W"],
        class_map: Shaped[Tensor, "B H W"],
        ignore: Bool[Tensor, "B H W"],
        image: Float[Tensor, "B C H W"],
    ) -> dict[str, Tensor]:
        """Terms of both, each unweighted, and "total"; arguments are a batch's."""
        terms = self.labels(output, label_mask, class_map, ignore)
        own = self.labels
        said = embed(output, own.n_sigma, own.pitch, own.margin, batched=True)
        taught = distances(said, self.teacher(image), ~ignore, own.foreground_weight)
        total = sum(WEIGHTS[name] * term for name, term in taught.items())
        return {**terms, **taught, "total": terms["total"] + self.weight * total}


def distances(
    said: Embedded,
    told: Embedded,
    valid: Bool[Tensor, "B H W"],
    foreground_weight: Float[Tensor, " 1 or K"],
) -> dict[str, Tensor]:
    """How far what a network said is from what it was told; means over images.

    *Seeds*: squared difference of scores, over pixels and summed over classes, where a score of 1
    weighs as an object's pixels do in the loss and 0 as background. *Positions*: embeddings'
    distance in margins of the teacher, squared up to about one and linear beyond (Huber), so that
    the first steps are no leap. *Bandwidths*: squared difference of σ. These two are means over
    pixels by the teacher's seed score, which is its foreground without a threshold.

    Args:
        said: position (B, 2, H, W), sigma (B, n_sigma, H, W) and seed (B, K, H, W).
        told: the same of the teacher.
        valid: pixels that take part.
        foreground_weight: one number or one a class.
    """
    score, aim = said.seed.sigmoid(), told.seed.sigmoid()
    taking_part = valid.to(score.dtype)
    heavier = 1 + (foreground_weight.to(score).view(-1, 1, 1) - 1) * aim
    seed = ((score - aim).square() * heavier).sum(1)
    inside = aim.amax(1) * taking_part
    width = inverse_squared_width(clamped(told.sigma)).sqrt()
    away = smooth_l1_loss(said.position * width, told.position * width, reduction="none").sum(1)
    unlike = (clamped(said.sigma) - clamped(told.sigma)).square().mean(1)
    return {
        "taught_seed": _mean(seed, taking_part),
        "taught_position": _mean(away, inside),
        "taught_bandwidth": _mean(unlike, inside),
    }


def _mean(values: Float[Tensor, "B H W"], weight: Float[Tensor, "B H W"]) -> Tensor:
    """Weighted mean of each image, then over images: the same however many processes share them."""
    return ((values * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)).mean()


def taught(
    labels: SpatialEmbeddingLoss, config: TrainConfig, spec: ModelSpec, low: bool
) -> SpatialEmbeddingLoss | TaughtLoss:
    """The loss of a run: that of labels, with a teacher if the run has one.

    Args:
        labels: the loss of labels.
        config: the run.
        spec: the model's that learns, which names its teacher's file by digest.
        low: whether networks are run in bf16.

    Raises:
        UserError: there is no such model, it does not fit the run, or it is not the file that the
            run was started with.
    """
    if config.teacher is None:
        return labels
    if weights_of(model_file(config.teacher)) != spec.training.get("teacher"):
        raise UserError(
            f"{config.teacher} is not the teacher that the run was started with: restore it, or "
            "start another run with --init"
        )
    network, theirs = load_network(config.teacher)
    _require_alike(config, spec, theirs)
    zoom = _zoom(config, spec, theirs)
    console.print(
        f"Taught by {config.teacher}, which sees crops at {zoom:.3g} times their size",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    network = folded(network)
    teacher = Teacher(network.bfloat16() if low else network, theirs, zoom, spec.pitch)
    return TaughtLoss(labels, teacher, config.teacher_weight)


def _require_alike(config: TrainConfig, spec: ModelSpec, theirs: ModelSpec) -> None:
    """Refuse a teacher whose output or input means something else than the run's."""

    def told(of: ModelSpec) -> dict[str, object]:
        names = of.class_names if len(of.class_names) > 1 else "one"  # which may be called anything
        return {
            "channels": of.in_channels, "n_sigma": of.n_sigma, "classes": names,
            "normalization": _relevant(of.normalization),
        }  # fmt: skip

    own = told(spec)
    differing = [f"{name} {value}, not {own[name]}" for name, value in told(theirs).items()
                 if value != own[name]]  # fmt: skip
    if differing:
        raise UserError(
            f"{config.teacher} cannot teach this run: it has {'; '.join(differing)}; give the run "
            "the same, or leave out --teacher"
        )


def _relevant(normalization: Normalization) -> Normalization:
    """Without what it does not go by."""
    return normalization if normalization.kind == "range" else replace(normalization, white=None)


def _zoom(config: TrainConfig, spec: ModelSpec, theirs: ModelSpec) -> float:
    """By how much crops are enlarged for a teacher: to what it sees of images in prediction.

    Where one of the two is shown objects at one size whatever the image, by the size of objects.
    """
    if not (spec.finds_size or theirs.finds_size):
        return theirs.zoom / spec.zoom
    if theirs.object_diameter is None or spec.object_diameter is None:
        raise UserError(
            f"{config.teacher} does not say how wide its objects were, which is what several sets "
            "are shown to it by: leave out --diameter, or --teacher"
        )
    return theirs.zoom * theirs.object_diameter / (spec.zoom * spec.object_diameter)

"""Loss and training steps of the published sizes on a card, beside the naive loops on the same."""

from collections.abc import Callable, Iterator
from functools import partial

import torch

import loss
from gpu_timing import Bench, Case, Figure, copy_rate, median_seconds, product_rate
from gpu_training import as_trained
from loss import N_SIGMA, NAIVE
from measure import operations
from spatialembed.loss import SpatialEmbeddingLoss
from training_step import step

OBJECTS = 20

STEPS = {
    "branched_erfnet, bf16, channels last, our loss": ("branched_erfnet", True, True),
    "branched_erfnet, float32, our loss": ("branched_erfnet", True, False),
    "branched_erfnet, float32, naive loss, as published": ("branched_erfnet", False, False),
    "residual_unet, bf16, channels last, our loss": ("residual_unet", True, True),
}
"""Network, whether the loss is ours, and whether the network is fast."""


def batch(
    bench: Bench, side: int, images: int, objects: int, state: str = "trained"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw outputs and label masks on the device."""
    output, label_mask = loss.batch(side, objects, state)
    copies = images // len(output)
    output, label_mask = output.repeat(copies, 1, 1, 1), label_mask.repeat(copies, 1, 1)
    return output.to(bench.device), label_mask.to(bench.device)


def losses(bench: Bench) -> Iterator[Case]:
    """Forward and backward of the loss alone, from a raw output on the card."""
    side, images = bench.pick((512, 16), (64, 2))
    for objects in bench.pick((20, 150), (3,)):
        given = batch(bench, side, images, objects)
        name = f"{side}² × {images}, {objects} objects each"
        took: dict[str, float] = {}
        yield f"{name}: ours", partial(ours_alone, bench, given, took)
        yield f"{name}: naive loops", partial(naive_alone, bench, given, took)


def ours_alone(bench: Bench, given: tuple, took: dict[str, float]) -> Figure:
    """Our loss, and how near it is to reading and writing its arrays once."""
    output, label_mask = given
    ours = SpatialEmbeddingLoss(N_SIGMA).to(bench.device)
    took["ours"] = median_seconds(bench.device, lambda: loss.gradient(ours, *given))
    least = (2 * output.nbytes + label_mask.nbytes) / copy_rate(bench.device)
    return Figure(took["ours"], beside=f"{least / took['ours']:.1%} of copying its arrays")


def naive_alone(bench: Bench, given: tuple, took: dict[str, float]) -> Figure:
    """The naive loss, called so few times that it fits the time."""
    output, label_mask = given
    loss.gradient(NAIVE, output[:1, :, :64, :64].contiguous(), label_mask[:1, :64, :64])
    took["naive"] = median_seconds(bench.device, lambda: loss.gradient(NAIVE, *given), warm=0)
    return Figure(took["naive"], beside=ratio(took, "ours"))


def ratio(took: dict[str, float], than: str) -> str:
    """How many times as long the naive way takes."""
    return f"{took['naive'] / took[than]:.0f} × ours" if than in took else ""


def training_steps(bench: Bench) -> Iterator[Case]:
    """Steps of both published stages: forward, loss, backward, Adam; no data loading."""
    stages = bench.pick(
        {"stage 1": (512, 16), "stage 2": (1024, 2)}, {"stage 1": (32, 2), "stage 2": (32, 2)}
    )
    for stage, (side, images) in stages.items():
        took: dict[str, float] = {}
        for name, (network, ours, fast) in STEPS.items():
            criterion = SpatialEmbeddingLoss(N_SIGMA).to(bench.device) if ours else NAIVE
            work = partial(
                step, network, criterion, fast, side, images, bench.device, N_SIGMA,
                frozen=stage == "stage 2",
            )  # fmt: skip
            yield f"{stage}, {side}² × {images}: {name}", partial(one, bench, work, took, name)
        given = batch(bench, side, images, OBJECTS, "initial")
        yield f"{stage}: our loss of such a batch alone", partial(alone, bench, given, took)
    yield from as_trained(bench)


def one(
    bench: Bench, make: Callable[[], Callable[[], None]], took: dict[str, float], name: str
) -> Figure:
    """One step, and the share of the limit that its counted operations reach."""
    work = make()
    naive = "naive" in name
    took[name] = median_seconds(bench.device, work, warm=1 if naive else 3)
    if naive:
        took["naive"] = took[name]
        told = (f"{took[name] / took[n]:.1f} × {n}" for n in STEPS if n in took and n != name)
        return Figure(took[name], beside="; ".join(told))
    dtype = torch.bfloat16 if "bf16" in name else torch.float32
    share = operations(work) / took[name] / product_rate(bench.device, dtype)
    faster = f"; {took['naive'] / took[name]:.1f} × as fast as published" if "naive" in took else ""
    return Figure(took[name], beside=f"{share:.1%} of the limit of products{faster}")


def alone(bench: Bench, given: tuple, took: dict[str, float]) -> Figure:
    """Our loss of the step's batch as a fresh network sees it, and its share of the step."""
    ours = SpatialEmbeddingLoss(N_SIGMA).to(bench.device)
    seconds = median_seconds(bench.device, lambda: loss.gradient(ours, *given))
    fastest = next((took[name] for name in STEPS if name in took), None)
    return Figure(seconds, beside=f"{seconds / fastest:.0%} of the first step" if fastest else "")

"""Steps of the recipes' stages by training's own code, as CUDA graphs and plainly; in bf16."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric

from gpu_timing import Bench, Case, Figure, median_seconds
from spatialembed.cli.options import read_recipe
from spatialembed.data.crops.batches import Batch
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import build, freeze_batch_norm_statistics
from spatialembed.training import StageConfig, TrainConfig
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.graphed import Graphed
from spatialembed.training.step import advance
from training_step import shown
from workload import NETWORKS

TRAINED = (
    ("cityscapes", 0, "branched_erfnet"),
    ("cityscapes", 1, "branched_erfnet"),
    ("cityscapes", 0, "residual_unet"),
    ("nuclei", 0, "residual_unet of nuclei"),
)
"""Recipe, number of its stage, and the network that takes it."""

BUDGET = 0.4
"""Seconds that each way is timed for."""


def as_trained(bench: Bench) -> Iterator[Case]:
    """All that a step is but the drawing of its crops: average and finite loss, too."""
    for recipe, number, network in TRAINED:
        config = read_recipe(recipe, "DATA")
        given = config.stages[number]
        side, images = bench.pick((given.crop_size, given.batch_size), (32, 2))
        stage = StageConfig(
            crop_size=side, batch_size=images, steps=1, freeze_batch_norm=given.freeze_batch_norm
        )
        name = f"as trained by {recipe}, stage {number + 1}, {side}² × {images}: {network}, bf16"
        yield name, partial(both_ways, bench, config, stage, network)


def both_ways(bench: Bench, config: TrainConfig, stage: StageConfig, network: str) -> Figure:
    """A step as the library takes it, and how much faster that is than without graphs."""
    device = bench.device
    devices = 1 if device.index is None else [device.index]
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of bf16 each time
    fabric = Fabric(accelerator=device.type, devices=devices, precision="bf16-mixed")
    fabric.launch()
    wrapped, step = made(fabric, config, stage, network)
    with Graphed(fabric, wrapped, stage, 3) as called:
        recorded = called.replays
        seconds = median_seconds(device, lambda: step(called), budget=BUDGET)
    if not recorded:
        return Figure(seconds, beside="not recorded")
    plain = median_seconds(device, lambda: step(wrapped), budget=BUDGET)
    return Figure(seconds, beside=f"as graphs; {plain / seconds:.2f} × as fast as without")


def made(
    fabric: Fabric, config: TrainConfig, stage: StageConfig, name: str
) -> tuple[Any, Callable[[Any], None]]:
    """A network as it is trained, and its step, given how it is called."""
    torch.manual_seed(0)
    kind, options = NETWORKS[name]
    network = build(kind, 3, config.n_sigma, 1, **options)
    network = network.to(fabric.device, memory_format=torch.channels_last)
    if stage.freeze_batch_norm:
        freeze_batch_norm_statistics(network)
    fused = fabric.device.type == "cuda" or None
    adam = torch.optim.Adam(network.parameters(), lr=5e-4, fused=fused)
    wrapped, optimizer = fabric.setup(network, adam)
    average = WeightAverage(network, config.average) if config.average else None
    loss = SpatialEmbeddingLoss(config.n_sigma, config.center).to(fabric.device)
    image, label_mask = shown(stage.crop_size, stage.batch_size)
    maps = label_mask, label_mask.clamp(max=1).long() - 1, label_mask < 0
    batch = Batch(*map(fabric.to_device, (image, *maps)), ("",) * stage.batch_size)

    def step(called: Any) -> None:
        advance(fabric, called, optimizer, loss, batch, config.clip_norm)
        if average is not None:
            average.update()

    return wrapped, step

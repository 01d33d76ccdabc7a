"""What a training step of each recipe's stages takes of a GPU's memory.

    python benchmarks/training_memory.py                  # estimated, without a GPU
    python benchmarks/training_memory.py --device cuda    # measured

Estimated: what the network keeps of a small batch for the way back (on the CPU), by pixel, times
the pixels of the stage; then weights, gradients, two moments and the average, and what is assumed
for the loss with passing tensors and for CUDA itself. Measured: what torch holds at most in two
steps, and the same for CUDA.
"""

import argparse

import torch
from lightning_fabric import Fabric

from spatialembed.cli.options import read_recipe
from spatialembed.data.crops.batches import Batch
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import build
from spatialembed.training import StageConfig, TrainConfig
from spatialembed.training.step import advance
from workload import ellipses

RECIPES = ("cityscapes", "nuclei", "streets", "cells")
PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}

PASSING, CUDA = 300, 0.6e9
"""Bytes a pixel that are assumed of the loss and of passing tensors; bytes of CUDA itself."""

SMALL, OBJECTS = 128, 20


def channels(recipe: str) -> int:
    """Of the images that a recipe is meant for."""
    return 1 if recipe == "nuclei" else 3


def made(recipe: str, config: TrainConfig) -> torch.nn.Module:
    """A recipe's network, as it is trained."""
    network = build(config.network, channels(recipe), config.n_sigma, 1, **config.network_options)
    return network.to(memory_format=torch.channels_last).train()


def kept(network: torch.nn.Module, count: int, low: bool) -> float:
    """Bytes a pixel of what the network keeps for the way back; in bf16 at two bytes a number."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    held: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    image = torch.rand(2, count, SMALL, SMALL).contiguous(memory_format=torch.channels_last)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(image)
    maps = [t for at, t in held.items() if at not in weights and t.ndim == 4]
    total = sum(t.numel() * (2 if low and t.is_floating_point() else t.itemsize) for t in maps)
    return total / (2 * SMALL**2)


def estimated(recipe: str, config: TrainConfig, stage: StageConfig, low: bool) -> float:
    """Bytes of a step."""
    network = made(recipe, config)
    own = 4 * sum(p.numel() for p in network.parameters()) * (5 if config.average else 4)
    pixels = stage.batch_size * stage.crop_size**2
    return (kept(network, channels(recipe), low) + PASSING) * pixels + own + CUDA


def measured(recipe: str, config: TrainConfig, stage: StageConfig, precision: str) -> float:
    """Bytes that torch holds at most in two steps, and those of CUDA itself."""
    fabric = Fabric(accelerator="cuda", devices=1, precision=precision)
    fabric.launch()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    network = made(recipe, config).to(fabric.device)
    adam = torch.optim.Adam(network.parameters(), fused=True)
    wrapped, optimizer = fabric.setup(network, adam)
    side, count = stage.crop_size, stage.batch_size
    masks = torch.stack(
        [torch.from_numpy(ellipses((side, side), OBJECTS, k)) for k in range(count)]
    )
    image = torch.rand(count, channels(recipe), side, side)
    batch = Batch(image, masks, masks.clamp(max=1) - 1, masks < 0, ("",) * count)
    loss = SpatialEmbeddingLoss(config.n_sigma, config.center).to(fabric.device)
    for _ in range(2):
        advance(fabric, wrapped, optimizer, loss, batch, config.clip_norm)
    return torch.cuda.max_memory_reserved() + CUDA


def main() -> None:
    """One row a stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    on_card = parser.parse_args().device == "cuda"
    torch.manual_seed(0)
    print(f"| recipe, stage | {' | '.join(PRECISIONS)} |\n|---|---|---|")
    for recipe in RECIPES:
        config = read_recipe(recipe, "DATA")
        for stage in config.stages:
            figures = [
                measured(recipe, config, stage, precision)
                if on_card
                else estimated(recipe, config, stage, name == "bf16")
                for name, precision in PRECISIONS.items()
            ]
            cells = " | ".join(f"{figure / 2**30:.1f} GiB" for figure in figures)
            print(f"| `{recipe}`, {stage.crop_size}² × {stage.batch_size} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

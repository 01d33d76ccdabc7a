"""A network's share of a training step as CUDA graphs: started as a whole, not kernel by kernel."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spatialembed.models.axes import LAYOUT
from spatialembed.training.stage_config import StageConfig

SPARE = 0.5
"""Share of a card's memory that must be free beside the graphs.

They keep what the network needs for a step as long as a stage lasts, while the loss takes its own,
and validation. Steps that large keep a card busy by themselves."""


class Graphed:
    """A network as the steps of a stage call it: on one card forward and backward are recorded, and
    replayed for each batch; elsewhere, and where that fails, it is called as it is.

    Both run the same kernels. Dropout draws the same numbers: a graph reads seed and offset of the
    device's generator as each replay begins, and moves the offset on by as much as its kernels
    draw (torch registers that generator with each graph). Recording leaves statistics, counts,
    gradients and generators as they were.

    The output, and the gradients that a backward pass leaves, lie where those of the next batch
    will: they are good until the network is called again.

    Args:
        fabric: of the run.
        network: as Fabric wraps it, with its layers and parameters in the state that the stage
            trains them in. What is recorded stays in that state, whatever becomes of the network's;
            weights and buffers are the network's own.
        stage: whose batches are replayed; those of another shape are not.
        channels: of the images.

    To be made while no other thread of the process uses the card, as that ends a recording; and to
    be left (``with``) before another is made, so that their memory is not held twice.
    """

    def __init__(self, fabric: Fabric, network: Any, stage: StageConfig, channels: int) -> None:
        self.network = network
        self.device = fabric.device
        images = stage.batch_size // fabric.world_size
        self.shape = torch.Size((images, channels, *stage.crop_shape))
        self._graphs: Any = None
        if can_record(fabric):
            self._record(_Forward(network.module, fabric.strategy.precision))

    def __call__(self, image: Tensor) -> Tensor:
        """(B, C, *S) float32 on the device -> raw output (B, D + n_sigma + K, *S) float32."""
        # Another number of images would be copied over all those of the recording.
        known = self._graphs is not None and image.shape == self.shape
        output: Tensor = self._graphs(image) if known else self.network(image)
        return output

    @property
    def replays(self) -> bool:
        """Whether it was recorded."""
        return self._graphs is not None

    def __enter__(self) -> Graphed:
        return self

    def __exit__(self, *_: object) -> None:
        """Give back the memory of the graphs, in which the last gradients are too."""
        if self._graphs is None:
            return
        torch.cuda.synchronize(self.device)  # what it still does needs them
        self.network.zero_grad()
        self._forget()

    def _record(self, forward: nn.Module) -> None:
        buffers = list(self.network.buffers())
        before = [buffer.clone() for buffer in buffers]
        image = torch.zeros(self.shape, device=self.device)
        image = image.contiguous(memory_format=LAYOUT[image.ndim - 2])
        # Gradients come from one stream and are taken on another, of which torch warns once; it has
        # the one wait for the other.
        _warn_of_streams(False)
        with suppress(RuntimeError):  # of memory, or of what a driver does not record
            self._graphs = _recorded(forward, image)
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)  # the steps that warm it up have moved the statistics
        _collect()  # of what failed, or was there to warm up
        if self._graphs is None or _free(self.device) < SPARE:
            self._forget()

    def _forget(self) -> None:
        self._graphs = None
        _collect()
        _warn_of_streams(True)


def can_record(fabric: Fabric) -> bool:
    """Whether a step is one card's alone, and need not be the same to the last bit.

    Several processes send each other messages within it.
    """
    exact = torch.are_deterministic_algorithms_enabled()
    return fabric.device.type == "cuda" and fabric.world_size == 1 and not exact


class _Forward(nn.Module):
    """What Fabric's wrapper does of a network's forward pass, as it can be recorded.

    The wrapper itself cannot: it refuses every backward pass but Fabric's own.
    """

    def __init__(self, network: nn.Module, precision: Any) -> None:
        super().__init__()
        self.network = network
        self.precision = precision

    def forward(self, image: Tensor) -> Tensor:
        # Autocast in autocast takes over that weights are cast each time: those that it would keep
        # from one call to the next would never change again.
        without_cache = torch.autocast(image.device.type, enabled=False, cache_enabled=False)
        with without_cache, self.precision.forward_context():
            output = self.network(self.precision.convert_input(image))
        result: Tensor = self.precision.convert_output(output)
        return result


def _recorded(forward: nn.Module, image: Tensor) -> Any:
    """The same module with its forward and backward pass recorded.

    Raises:
        RuntimeError: it cannot be.
    """
    device = image.device
    drawing = torch.random.fork_rng([device] if device.type == "cuda" else [])
    # Torch's own is of the device that was the first to record.
    torch.cuda.graph.default_capture_stream = torch.cuda.Stream(device)
    # Steps that warm it up draw numbers. Where recording fails torch leaves its stream in place.
    with drawing, torch.cuda.stream(torch.cuda.current_stream(device)):
        return torch.cuda.make_graphed_callables(forward, (image,), allow_unused_input=True)


def _collect() -> None:
    """Free what was left behind: graphs hold themselves, in a cycle."""
    gc.collect()
    torch.cuda.empty_cache()


def _free(device: torch.device) -> float:
    """Share of a card's memory that nobody has."""
    free, total = torch.cuda.mem_get_info(device)
    return free / total


def _warn_of_streams(warn: bool) -> None:
    """Let torch warn, where it can, of gradients that are taken on another stream."""
    known = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if known is not None:
        known(warn)

"""One step of training: forward, loss, backward, optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from signal import SIGINT, SIGTERM
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from spatialembed.data.crops.cropper import Batch, CropDataset, Cropper, collate
from spatialembed.errors import UserError
from spatialembed.errors.interrupts import obey_parent, undisturbed
from spatialembed.loss import SpatialEmbeddingLoss


def batches(
    cropper: Cropper,
    batch_size: int,
    first: int,
    count: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
    on_gpu: bool = False,
) -> Iterator[Batch]:
    """Batches of the crops ``first`` to ``first + count - 1`` of a run, drawn by ``workers``.

    Args:
        cropper: draws a crop by its number.
        batch_size: crops of a batch, a multiple of ``processes`` that divides ``count``.
        first: number of the first crop.
        count: of crops.
        workers: processes that draw them; 0 draws them here.
        rank: of this process, from 0, which gets the part of each batch that is in its turn.
        processes: that share each batch.
        on_gpu: whether they go to one: in memory then that it reads while it computes.

    Raises:
        UserError: an image or mask cannot be read.
    """
    share = batch_size // processes
    starts = range(rank * share, count, batch_size)
    loader: DataLoader[Batch] = DataLoader(
        CropDataset(cropper, first, count),  # type: ignore[arg-type]
        batch_sampler=(list(range(start, start + share)) for start in starts),
        num_workers=workers,
        worker_init_fn=_obey,
        collate_fn=collate,
        # Its own generator: the loader's draws must not shift those of dropout on a resume.
        generator=torch.Generator(),
        pin_memory=on_gpu,
    )
    try:
        with undisturbed(SIGINT, SIGTERM):
            drawn = iter(loader)
        yield from drawn
    except UserError as error:
        # A worker's error arrives with its traceback as text; the sentence stands at the end.
        raise UserError(str(error).rsplit("UserError: ", 1)[-1].strip()) from error


def _obey(number: int) -> None:
    obey_parent()


def advance(
    fabric: Fabric,
    network: Any,
    optimizer: Any,
    loss: SpatialEmbeddingLoss,
    batch: Batch,
    clip_norm: float | None,
) -> dict[str, float]:
    """One step of the optimizer; returns the loss's terms, means over all processes.

    Raises:
        UserError: loss or gradient is not finite; the weights are as before the step.
    """
    image, label_mask, class_map, ignore = (fabric.to_device(tensor) for tensor in batch[:4])
    output = network(image.contiguous(memory_format=torch.channels_last))
    terms = loss(output, label_mask, class_map, ignore)
    # In one read: each makes a GPU wait until its queue is empty.
    told = torch.stack([term.detach() for term in terms.values()])
    values = dict(zip(terms, told.tolist(), strict=True))
    # Before backward: afterwards the gradients of all processes are NaN, whoseever images it was.
    _require_finite("loss", values["total"], batch)
    optimizer.zero_grad()
    fabric.backward(terms["total"])
    # Without clipping too: its norm tells of a gradient that is not finite before the weights do.
    largest = math.inf if clip_norm is None else clip_norm
    norm = fabric.clip_gradients(network, optimizer, max_norm=largest, error_if_nonfinite=False)
    _require_finite("gradient", 0.0 if norm is None else float(norm), batch)
    optimizer.step()
    if fabric.world_size > 1:
        means: Any = fabric.all_reduce(told)
        values = dict(zip(terms, means.tolist(), strict=True))
    return values


def _require_finite(what: str, value: float, batch: Batch) -> None:
    if not math.isfinite(value):
        names = ", ".join(sorted(set(batch.names)))
        raise UserError(
            f"the {what} is not finite ({value}) on a batch of {names}; look at these images, or "
            "lower the learning rate; the last good checkpoint is kept"
        )

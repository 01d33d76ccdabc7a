"""One step of training: forward, loss, backward, optimizer."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from signal import SIGINT, SIGTERM
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from spatialembed.data.crops.batches import Batch, CropDataset, collate
from spatialembed.data.crops.cropper import Crop, Cropper
from spatialembed.errors import UserError
from spatialembed.errors.interrupts import obey_parent, undisturbed
from spatialembed.kernels.threads import cores
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models.axes import LAYOUT
from spatialembed.training.config import TrainConfig, is_launched

AHEAD = 2
"""Batches that each worker draws ahead, or more that it draws together."""

MOST_WORKERS = 16
"""That draw crops for one GPU where no number of them is asked for."""


def workers_of(config: TrainConfig, device: torch.device) -> int:
    """Processes that draw crops for this one, as asked for, or as its device can do with."""
    if config.workers is not None:
        return config.workers
    if device.type != "cuda":
        return 1
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if is_launched() else 1
    return min(max(cores() // here - 1, 1), MOST_WORKERS)


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
    # What one worker has decoded the others would have to decode again.
    together = cropper.together if workers else 1
    tasks = groupby(starts, lambda start: (first + start) // together)
    loader: DataLoader[list[Batch]] = DataLoader(
        CropDataset(cropper, first, count),  # type: ignore[arg-type]  # data does without torch's Dataset
        batch_sampler=([at + k for at in task for k in range(share)] for _, task in tasks),
        num_workers=workers,
        prefetch_factor=max(1, AHEAD // max(1, together // batch_size)) if workers else None,
        worker_init_fn=_obey,
        collate_fn=partial(_collated, share),
        # Its own generator: the loader's draws must not shift those of dropout on a resume.
        generator=torch.Generator(),
        pin_memory=on_gpu,
    )
    try:
        with undisturbed(SIGINT, SIGTERM):
            drawn = iter(loader)
        for task in drawn:
            yield from task
    except UserError as error:
        # A worker's error arrives with its traceback as text; the sentence stands at the end.
        raise UserError(str(error).rsplit("UserError: ", 1)[-1].strip()) from error


def _collated(share: int, crops: list[Crop]) -> list[Batch]:
    """Batches of ``share`` crops each."""
    return [collate(crops[at : at + share]) for at in range(0, len(crops), share)]


def _obey(number: int) -> None:
    obey_parent()


class Done(NamedTuple):
    """What a step tells; still on its device, since to read it is to wait for that."""

    terms: tuple[str, ...]
    """Names of the loss's terms."""
    values: Tensor
    """(terms + 1,) float32: the terms, of this process's images, then the norm of the gradient."""
    images: tuple[str, ...]
    """Names of this process's images."""

    def require_finite(self, values: list[float]) -> None:
        """Refuse ``values``, as read, where loss or gradient is not finite.

        Raises:
            UserError: names the images.
        """
        _require_finite("loss", values[self.terms.index("total")], self.images)
        _require_finite("gradient", values[-1], self.images)


def advance(
    fabric: Fabric,
    network: Any,
    optimizer: Any,
    loss: SpatialEmbeddingLoss,
    batch: Batch,
    clip_norm: float | None,
) -> Done:
    """One step of the optimizer, unless loss or gradient is not finite.

    A fused optimizer finds that out by itself, on its device, and leaves the weights as they were:
    nothing is waited for beyond what the loss waits for (sizes), and :meth:`Done.require_finite`
    raises once it is read.

    Raises:
        UserError: loss or gradient is not finite, and the optimizer is not fused.
    """
    image, label_mask, class_map, ignore = (fabric.to_device(tensor) for tensor in batch[:4])
    output = network(image.contiguous(memory_format=LAYOUT[image.ndim - 2]))
    terms = loss(*by_target(output, label_mask, class_map, ignore))
    late = optimizer.param_groups[0]["fused"]
    if not late:
        # Before backward: then the gradients of all processes are NaN, whoseever images it was.
        _require_finite("loss", float(terms["total"].detach()), batch.names)
    optimizer.zero_grad()
    fabric.backward(terms["total"])
    # Without clipping too: its norm tells of a gradient that is not finite before the weights do.
    largest = math.inf if clip_norm is None else clip_norm
    norm = fabric.clip_gradients(network, optimizer, max_norm=largest, error_if_nonfinite=False)
    assert norm is not None  # as there is a largest one
    values = torch.stack([*(term.detach() for term in terms.values()), norm.to(torch.float32)])
    done = Done(tuple(terms), values, batch.names)
    if late:  # where a scaler of float16 would put it, too
        # Infinity, too, times 0 is not a number: in half as many kernels as isfinite().all() takes.
        optimizer.optimizer.found_inf = (values * 0).sum().isnan().float()
    else:
        _require_finite("gradient", float(norm), batch.names)
    optimizer.step()
    return done


def by_target(output: Tensor, *truth: Tensor) -> tuple[Tensor, ...]:
    """Output and truth of several targets with each target as an image of its own.

    The loss, a mean over images, is then that over targets, too. One that is unknown in an image
    is ignored there, and adds nothing.

    Args:
        output: (B, T * C, *S).
        truth: (B, T, *S) each, or (B, *S) of one target, which are returned as they are.

    Returns:
        (B * T, C, *S), then (B * T, *S) each.
    """
    if truth[0].ndim < output.ndim:
        return output, *truth
    each = output.unflatten(1, (truth[0].shape[1], -1))
    return each.flatten(0, 1), *(array.flatten(0, 1) for array in truth)


def _require_finite(what: str, value: float, images: Iterable[str]) -> None:
    if not math.isfinite(value):
        raise UserError(
            f"the {what} is not finite ({value}) on a batch of {', '.join(sorted(set(images)))}; "
            "look at these images, or lower the learning rate; the last good checkpoint is kept"
        )

"""Batches on their way to a GPU, one ahead of the step that takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from spatialembed.data.crops.cropper import Batch


def uploaded(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches, on ``device``; of a GPU each is copied while it computes on the one before.

    Nothing waits for a copy but the step that takes it, where batches are in pinned memory.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    before: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(stream):
            there = [tensor.to(device, non_blocking=True) for tensor in batch[:4]]
            moved = Batch._make((*there, batch.names))
            copied = stream.record_event()
        if before is not None:
            yield _ready(*before)
        before = moved, copied
    if before is not None:
        yield _ready(*before)


def _ready(batch: Batch, copied: torch.cuda.Event) -> Batch:
    """A batch that the present stream waits for, and that is kept until that is done with it."""
    present = torch.cuda.current_stream(batch.image.device)
    present.wait_event(copied)
    for tensor in batch[:4]:
        tensor.record_stream(present)
    return batch

"""Batches on their way to a GPU, one ahead of the step that takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from spatialembed.data.crops.batches import Batch


def uploaded(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches, on ``device``; of a GPU each is copied while it computes on the one before.

    On a GPU a batch is good until the next but one is asked for, whose place it has: a step that
    is begun before is done with it before that is copied. Nothing here waits for the GPU.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)
    places = [_Place(device, stream), _Place(device, stream)]
    before: _Place | None = None
    try:
        for number, batch in enumerate(batches):
            place = places[number % 2]
            place.fill(batch)
            if before is not None:
                yield before.ready()
                before.leave()
            before = place
        if before is not None:
            yield before.ready()
    finally:
        # Whoever stops early leaves a batch that may still be on its way, into memory that is free
        # from here on: what takes it waits for that.
        torch.cuda.current_stream(device).wait_stream(stream)


class _Place:
    """Memory of a GPU for one batch, which is filled on a stream of its own."""

    def __init__(self, device: torch.device, stream: torch.cuda.Stream) -> None:
        self.device = device
        self.stream = stream
        self.batch: Batch | None = None
        self.leave()

    def leave(self) -> None:
        """Let it be filled anew after all that is begun."""
        self.left = torch.cuda.current_stream(self.device).record_event()

    def fill(self, batch: Batch) -> None:
        """Copy a batch of pinned memory here, once the one before has been left."""
        if self.batch is None or any(map(_differ, self.batch[:4], batch[:4])):
            own = (torch.empty_like(tensor, device=self.device) for tensor in batch[:4])
            self.batch = Batch._make((*own, batch.names))
            self.leave()
        self.batch = self.batch._replace(names=batch.names)
        with torch.cuda.stream(self.stream):
            self.stream.wait_event(self.left)
            for mine, given in zip(self.batch[:4], batch[:4], strict=True):
                mine.copy_(given, non_blocking=True)
            self.copied = self.stream.record_event()

    def ready(self) -> Batch:
        """The batch, for what is begun from now on."""
        torch.cuda.current_stream(self.device).wait_event(self.copied)
        assert self.batch is not None
        return self.batch


def _differ(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape or one.dtype != other.dtype

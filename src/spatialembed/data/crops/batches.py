"""Crops as a torch ``DataLoader`` takes them, and the batches that they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from spatialembed.data.crops.cropper import Crop, Cropper

if TYPE_CHECKING:
    import torch


class Batch(NamedTuple):
    """Crops stacked along a first axis; fields as in :class:`Crop`."""

    image: torch.Tensor
    label_mask: torch.Tensor
    class_map: torch.Tensor
    ignore: torch.Tensor
    names: tuple[str, ...]


class CropDataset:
    """Crops ``first`` to ``first + count - 1`` of a run, for a torch ``DataLoader``.

    Give the loader :func:`collate`, no shuffling, and any number of workers.
    """

    def __init__(self, cropper: Cropper, first: int, count: int) -> None:
        self.cropper = cropper
        self.first = first
        self.count = count
        self._shared = False

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Crop:
        if not 0 <= i < self.count:
            raise IndexError(i)
        if not self._shared:
            from torch.utils.data import get_worker_info

            worker = get_worker_info()
            if worker is not None:
                self.cropper.share_cache(worker.num_workers)
            self._shared = True
        return self.cropper.draw(self.first + i)


def collate(crops: Sequence[Crop]) -> Batch:
    """Stack crops of one size into a batch."""
    from torch.utils.data import default_collate

    *arrays, names = zip(*crops, strict=True)
    # Within a worker into memory that it shares, in one go.
    return Batch._make((*map(default_collate, map(list, arrays)), names))

"""What crops are cut from: whole decoded images kept in memory, or windows of large ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.large import LargeSample, is_large
from spatialembed.data.sample import FileDataSet
from spatialembed.data.windowed import WindowedImage

if TYPE_CHECKING:
    from spatialembed.data.sample import DataSet, Sample
    from spatialembed.data.warp import Warp

Normalize: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float32]]
"""From (H, W, C) of the stored dtype to (H, W, C) float32."""

Fix: TypeAlias = Callable[[WindowedImage], Normalize]
"""The normalisation of one image, for any window of it."""

OPENED = 1000
"""Large images whose place on disk and normalisation are remembered."""

T = TypeVar("T")


class Source(NamedTuple):
    """A sample, or a window of one, made ready to cut from."""

    image: NDArray[np.float32]  # (C, H, W) normalised
    label_mask: NDArray[Any]  # (H, W)
    class_map: NDArray[Any]  # (H, W)
    ignore: NDArray[np.bool_]  # (H, W)
    name: str


class Sources:
    """The images of a data set, ready to cut from.

    Args:
        dataset: where they come from.
        normalize: of a whole image.
        fix: of an image read by windows; None for ``normalize``.
        limit: bytes that decoded images may take.
    """

    def __init__(self, dataset: DataSet, normalize: Normalize, fix: Fix | None, limit: int) -> None:
        self.dataset = dataset
        self.normalize = normalize
        self.fix = fix
        self.decoded: Cache[Source] = Cache(limit, _bytes)
        self._opened: Cache[tuple[LargeSample, Normalize] | None] = Cache(OPENED, _one)

    def of(
        self, image: int, shape: tuple[int, int], warp: Warp, blur: float
    ) -> tuple[Source, Warp]:
        """What a crop is cut from, and the warp that cuts it from that.

        Args:
            image: its number in the data set.
            shape: its height and width.
            warp: from the crop to the image.
            blur: of the crop; see :meth:`Warp.image`.
        """
        opened = self._opened.get(image, self._open) if is_large(shape) else None
        if opened is None:
            return self.decoded.get(image, self._read), warp
        large, normalize = opened
        rows, columns = warp.window(shape, blur)
        part = large.read(rows, columns)
        return _ready(part, normalize), warp.moved(-rows.start, -columns.start)

    def _open(self, image: int) -> tuple[LargeSample, Normalize] | None:
        large = self.dataset.large(image) if isinstance(self.dataset, FileDataSet) else None
        if large is None:
            return None
        return large, self.normalize if self.fix is None else self.fix(large.image)

    def _read(self, image: int) -> Source:
        return _ready(self.dataset[image], self.normalize)


class Cache(Generic[T]):
    """Values by number, least recently used ones dropped where they weigh more than ``limit``."""

    def __init__(self, limit: int, weigh: Callable[[T], int]) -> None:
        self.limit = limit
        self._weigh = weigh
        self._held: OrderedDict[int, T] = OrderedDict()
        self._weight = 0

    def get(self, number: int, load: Callable[[int], T]) -> T:
        if number in self._held:
            value = self._held.pop(number)
        else:
            value = load(number)
            self._weight += self._weigh(value)
        self._held[number] = value
        while self._weight > self.limit and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._weight -= self._weigh(dropped)
        return value


def _ready(sample: Sample, normalize: Normalize) -> Source:
    normalized = normalize(sample.image).astype(np.float32, copy=False)
    return Source(
        np.ascontiguousarray(normalized.transpose(2, 0, 1)),
        np.ascontiguousarray(sample.label_mask),
        np.ascontiguousarray(sample.class_map),
        np.ascontiguousarray(sample.ignore),
        sample.name,
    )


def _bytes(source: Source) -> int:
    return sum(array.nbytes for array in source[:4])


def _one(_: object) -> int:
    return 1

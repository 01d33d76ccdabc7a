"""What crops are cut from: decoded images kept in memory, or windows of large ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.data_set import FileDataSet
from spatialembed.data.images.windows import WindowedImage, in_memory
from spatialembed.data.large_sample import is_large
from spatialembed.data.sample import Truth

if TYPE_CHECKING:
    from spatialembed.data.crops.warp import Warp
    from spatialembed.data.data_set import DataSet

Normalize: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float32]]
"""From (H, W, C) of the stored dtype to (H, W, C) float32."""

Fix: TypeAlias = Callable[[WindowedImage], Normalize]
"""The normalisation of one image, for any window of it."""

OPENED = 1000
"""Large images whose place on disk and normalisation are remembered."""

T = TypeVar("T")


class Window(NamedTuple):
    """A window of a sample, made ready to cut from."""

    image: NDArray[np.float32]  # (C, H, W) normalised
    truth: Truth
    name: str


class Source(NamedTuple):
    """A sample of which windows are taken; its pixels are as they were stored."""

    name: str
    image: WindowedImage
    truth: Callable[[slice, slice], Truth]
    normalize: Normalize
    weight: int
    """Bytes it holds in memory."""

    def read(self, rows: slice, columns: slice) -> Window:
        """Only the window is normalised: crops show a small part of a large image."""
        image = self.normalize(self.image.read(rows, columns)).astype(np.float32, copy=False)
        return Window(
            np.ascontiguousarray(image.transpose(2, 0, 1)), self.truth(rows, columns), self.name
        )


class Sources:
    """The images of a data set, ready to cut from.

    Args:
        dataset: where they come from.
        fix: gives the normalisation of one image.
        limit: bytes that decoded images may take.
    """

    def __init__(self, dataset: DataSet, fix: Fix, limit: int) -> None:
        self.dataset = dataset
        self.fix = fix
        self.decoded: Cache[Source] = Cache(limit, _bytes)
        self._opened: Cache[Source | None] = Cache(OPENED, _one)

    def of(
        self, image: int, shape: tuple[int, int], warp: Warp, blur: float
    ) -> tuple[Window, Warp]:
        """What a crop is cut from, and the warp that cuts it from that.

        Args:
            image: its number in the data set.
            shape: its height and width.
            warp: from the crop to the image.
            blur: of the crop; see :meth:`Warp.image`.
        """
        source = self._opened.get(image, self._open) if is_large(shape) else None
        if source is None:
            source = self.decoded.get(image, self._decode)
        rows, columns = warp.window(shape, blur)
        return source.read(rows, columns), warp.moved(-rows.start, -columns.start)

    def _open(self, image: int) -> Source | None:
        large = self.dataset.large(image) if isinstance(self.dataset, FileDataSet) else None
        if large is None:
            return None
        return Source(large.name, large.image, large.truth, self.fix(large.image), 0)

    def _decode(self, image: int) -> Source:
        sample = self.dataset[image]
        pixels = in_memory(sample.name, sample.image)
        whole = Truth(sample.label_mask, sample.class_map, sample.ignore)

        def truth(rows: slice, columns: slice) -> Truth:
            return Truth(*(array[rows, columns] for array in whole))

        weight = sum(array.nbytes for array in (sample.image, *whole))
        return Source(sample.name, pixels, truth, self.fix(pixels), weight)


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


def _bytes(source: Source) -> int:
    return source.weight


def _one(_: object) -> int:
    return 1

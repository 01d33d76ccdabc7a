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
from spatialembed.files.pixel_values import side_by_side

if TYPE_CHECKING:
    from spatialembed.data.crops.volume_warp import VolumeWarp
    from spatialembed.data.crops.warp import Warp
    from spatialembed.data.data_set import DataSet

Normalize: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float32]]
"""From (H, W, C) of the stored dtype to (H, W, C) float32."""

NormalizationOf: TypeAlias = Callable[[WindowedImage], Normalize]
"""The normalisation of one image, for any window of it; of a volume by its planes side by side."""

OPENED = 1000
"""Large images whose place on disk and normalisation are remembered."""

T = TypeVar("T")
WarpT = TypeVar("WarpT", "Warp", "VolumeWarp")


class Window(NamedTuple):
    """A window of a sample, made ready to cut from."""

    image: NDArray[np.float32]  # (C, *S) normalised
    truth: Truth
    name: str


class Source(NamedTuple):
    """A sample of which windows are taken; its pixels are as they were stored."""

    name: str
    pixels: Callable[..., NDArray[Any]]
    """Those (*S, C) of a window, a slice an axis."""
    truth: Callable[..., Truth]
    normalize: Normalize

    def read(self, *window: slice) -> Window:
        """Only the window is normalised: crops show a small part of a large image."""
        image = self.normalize(self.pixels(*window)).astype(np.float32, copy=False)
        return Window(
            np.ascontiguousarray(np.moveaxis(image, -1, 0)), self.truth(*window), self.name
        )


class Sources:
    """The images of a data set, ready to cut from.

    Args:
        dataset: where they come from.
        normalization_of: gives the normalisation of one image.
        limit: bytes that decoded images may take.
    """

    def __init__(self, dataset: DataSet, normalization_of: NormalizationOf, limit: int) -> None:
        self.dataset = dataset
        self.normalization_of = normalization_of
        self.decoded: Cache[Source] = Cache(limit)
        self._opened: Cache[Source | None] = Cache(OPENED)

    def of(
        self, image: int, shape: tuple[int, ...], warp: WarpT, blur: float
    ) -> tuple[Window, WarpT]:
        """What a crop is cut from, and the warp that cuts it from that.

        Args:
            image: its number in the data set.
            shape: its height and width, of a volume depth, height and width.
            warp: from the crop to the image.
            blur: of the crop; see :meth:`Warp.image`.
        """
        source = self._opened.get(image, self._open) if is_large(shape) else None
        if source is None:
            source = self.decoded.get(image, self._decode)
        window = warp.window(shape, blur)
        return source.read(*window), warp.moved(*(-side.start for side in window))

    def _open(self, image: int) -> tuple[Source | None, int]:
        large = self.dataset.large(image) if isinstance(self.dataset, FileDataSet) else None
        if large is None:
            return None, 1
        normalize = self.normalization_of(large.image)
        return Source(large.name, large.image.read, large.truth, normalize), 1

    def _decode(self, image: int) -> tuple[Source, int]:
        sample = self.dataset[image]
        whole = in_memory(sample.name, side_by_side(sample.image))
        arrays = (sample.image, sample.label_mask, sample.class_map, sample.ignore)

        def pixels(*window: slice) -> NDArray[Any]:
            return sample.image[window]

        source = Source(sample.name, pixels, sample.truth, self.normalization_of(whole))
        return source, sum(array.nbytes for array in arrays)


class Cache(Generic[T]):
    """Values by number, least recently used ones dropped where they weigh more than ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[int, tuple[T, int]] = OrderedDict()
        self._weight = 0

    def get(self, number: int, load: Callable[[int], tuple[T, int]]) -> T:
        """The value of a number; ``load`` gives one that is not here, and its weight."""
        if number in self._held:
            self._held.move_to_end(number)
        else:
            self._held[number] = load(number)
            self._weight += self._held[number][1]
        while self._weight > self.limit and len(self._held) > 1:
            self._weight -= self._held.popitem(last=False)[1][1]
        return self._held[number][0]

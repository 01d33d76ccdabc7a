"""Crops for training, drawn on the fly: each is a function of (seed, its number in the run).

Which image, which object, which augmentation: all come from a counter-based generator keyed by
those two numbers. Any number of loader workers, in any order, before or after a resume, draws
the same crops without saved state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.crops.augmentation import Augmentation, Change, shade
from spatialembed.data.crops.decoded import NormalizationOf, Sources, Window
from spatialembed.data.crops.volume_warp import VolumeWarp
from spatialembed.data.crops.warp import Warp
from spatialembed.errors import UserError

if TYPE_CHECKING:
    import torch

    from spatialembed.data.data_set import DataSet
    from spatialembed.data.index import ObjectIndex

CROPS_PER_VISIT, VISITS_AT_ONCE = 4, 8
"""Crops cut from an image each time it is decoded, and images that are visited in turns, where
they do not all fit in memory: decoding a large image takes longer than ten crops of it."""

MOST_TOGETHER = 2**23
"""Pixels of crops that a worker draws in one go: 210 MB, the 32 crops of 512² of a turn."""

LEAST_CACHE = 256 * 1024**2
"""Bytes of a worker's share of the cache at least: the images of a turn, of Cityscapes' size."""

FIRST_VISIT = 2**63
"""Keys from here on draw the images that are visited, those below the crops of a run."""

BYTES_PER_PIXEL = 10
"""Of a decoded image in memory: three channels of 8 bits, label mask, class map, ignore regions."""

MOST_EMPTY = 0.2
"""Largest share of crops that images without an object get where no share is asked for."""

JITTER = 0.25
"""How far an object's center may lie from its crop's center, as a share of the crop's side."""


class Crop(NamedTuple):
    """One square cut of an image with its truth; of a volume P planes of squares."""

    image: torch.Tensor
    """(C, S, S) or (C, P, S, S) float32, normalised; 0 outside of the image."""
    label_mask: torch.Tensor
    """(S, S) or (P, S, S) int32 with the image's own ids; 0 is background and outside. Of several
    targets their axis comes first."""
    class_map: torch.Tensor
    """Of that shape, int64 class index on objects, -1 elsewhere."""
    ignore: torch.Tensor
    """Of that shape, bool, true where no loss is taken: the data's ignore regions, and outside."""
    name: str
    """Name of the image."""


@dataclass(frozen=True, eq=False)
class Cropper:
    """Draws the crops of a run.

    A crop shows an object chosen uniformly among all objects, of one in several parts the largest
    and what lies near it. Of several sets each gets crops by the fourth root of its number of
    objects, so that a large one does not drown the others and a small one is not learned by heart.
    A share of the crops shows any place of an image chosen uniformly instead: of all images, or by
    default of those without an object. A crop hangs over the image's border only where it must.
    Where the images do not fit in memory, each that is decoded gives several crops, eight apart
    from each other in the run; every object of a set is still as likely as any other.

    Args:
        dataset: the images and their truth.
        normalization: gives the normalisation of one image: a function from any window (H, W, C)
            of it, as stored, to float32, such as the model's ``normalization.fixed``.
        size: side of a crop in pixels.
        index: every object of ``dataset``.
        seed: of the run, from 0 up.
        background_share: share in [0, 1] of crops that are centered anywhere. None: the images
            without an object get their share, as :func:`empty_share` says, and no other does.
        augmentation: how crops are varied.
        zoom: magnification of the crops before they are varied: one, or one an image; of volumes
            within their planes.
        sets: number of the first image of each set that ``dataset`` is made of.
        cache_bytes: how much memory decoded images may take, shared by a loader's workers, each
            of which has 256 MiB at least.
        depth: planes of a crop, where ``dataset`` is of volumes.

    Raises:
        UserError: a value out of its range.
    """

    dataset: DataSet
    normalization: NormalizationOf
    size: int
    index: ObjectIndex
    seed: int = 0
    background_share: float | None = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    zoom: float | NDArray[np.float64] = 1.0
    sets: Sequence[int] = (0,)
    cache_bytes: int = 2 * 1024**3
    depth: int = 1

    def __post_init__(self) -> None:
        if min(self.size, self.depth) < 1:
            raise UserError(f"the crop size must be at least 1 pixel, not {self.size}")
        share = self.background_share
        if share is not None and not 0 <= share <= 1:
            raise UserError(f"background_share lies between 0 and 1, not {share}")
        if not (np.all(np.greater(self.zoom, 0)) and np.all(np.isfinite(self.zoom))):
            raise UserError(f"zoom must be a positive factor, not {self.zoom}")
        if self.cache_bytes < 0:
            raise UserError(f"cache_bytes must be 0 or more, not {self.cache_bytes}")
        if not 0 <= self.seed < 2**64:
            raise UserError(f"the seed must be a number from 0 up, not {self.seed}")

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self.dataset, self.normalization, self.cache_bytes)

    @cached_property
    def _visits(self) -> bool:
        """Whether images are visited in turns."""
        pixels = int(self.index.image_size.astype(np.int64).prod(1).sum())
        return pixels * BYTES_PER_PIXEL > self.cache_bytes

    @cached_property
    def _zooms(self) -> NDArray[np.float64]:
        return np.broadcast_to(np.float64(self.zoom), len(self.index.image_size))

    @cached_property
    def _shares(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Number of the first object of each set, and its crops begin at this share of all."""
        first = np.searchsorted(self.index.image, [*self.sets, len(self.index.image_size)])
        # By the square root, three sets of bacteria in eight got a tenth of the crops, and their AP
        # was a quarter below that of a network of their own.
        weight = np.diff(first) ** 0.25
        return first, np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])

    def _object(self, pick: float) -> int:
        """The object that a number in [0, 1) stands for."""
        first, share = self._shares
        k = int(np.searchsorted(share, pick, side="right")) - 1
        within = (pick - share[k]) / (share[k + 1] - share[k])
        return int(min(first[k] + int(within * (first[k + 1] - first[k])), first[k + 1] - 1))

    @cached_property
    def _anywhere(self) -> tuple[float, Sequence[int] | NDArray[np.integer]]:
        """Share of crops that are centered anywhere, and the images that they are of."""
        if self.background_share is not None:
            return self.background_share, range(len(self.dataset))
        images = self.index.empty
        return empty_share(len(images), len(self.dataset)), images

    def draw(self, number: int) -> Crop:
        """Crop ``number`` of the run: the same bytes at every call, in every process."""
        rng, dims = self._generator(number), self.index.dims
        image, box = self._choose(rng, number)
        jitter = rng.random(dims) * 2 - 1
        change = self.augmentation.draw(rng, dims)
        change = replace(change, scale=float(self._zooms[image]) * change.scale)
        shape = tuple(self.index.image_size[image].tolist())
        extents = [self.depth, self.size / change.scale, self.size / change.scale][-dims:]
        ends = zip(box[:dims], box[dims:], jitter, extents, shape, strict=True)
        center = tuple(
            _keep_inside((first + last - 1) / 2 + shift * JITTER * extent, extent, length)
            for first, last, shift, extent, length in ends
        )
        if dims == 3:
            volume_warp = VolumeWarp.about(center, change, (self.depth, self.size))
            return _cut(*self._sources.of(image, shape, volume_warp, change.blur), change, rng)
        warp = Warp.about((center[0], center[1]), change, self.size)
        return _cut(*self._sources.of(image, shape, warp, change.blur), change, rng)

    def share_cache(self, workers: int) -> None:
        """Lower this process's cache to its share among ``workers``."""
        share = max(self.cache_bytes // workers, LEAST_CACHE)
        self._sources.decoded.limit = min(share, self.cache_bytes)

    @property
    def together(self) -> int:
        """Crops, by their numbers, that one worker best draws, since they are of the same images;
        1 where these are kept anyway, or where so many crops would take much memory."""
        turn = CROPS_PER_VISIT * VISITS_AT_ONCE
        pixels = turn * self.depth * self.size**2
        return turn if self._visits and pixels <= MOST_TOGETHER else 1

    def _generator(self, number: int) -> np.random.Generator:
        key = np.array([self.seed, number], np.uint64)  # a list would pass through float64
        return np.random.Generator(np.random.Philox(key=key))

    def _choose(self, rng: np.random.Generator, number: int) -> tuple[int, Sequence[float]]:
        """Image to cut from and the box, lower corner, then upper, to center on; of one point,
        anywhere.
        """
        anywhere, pick, *within = rng.random(2 + self.index.dims)
        objects = len(self.index)
        own_pick = pick
        if self._visits:
            turn, place = divmod(number, CROPS_PER_VISIT * VISITS_AT_ONCE)
            visit = turn * VISITS_AT_ONCE + place % VISITS_AT_ONCE
            anywhere, pick = self._generator(FIRST_VISIT + visit).random(2)
        share, images = self._anywhere
        if objects and anywhere >= share:
            chosen = self._object(pick)
            if self._visits:  # another object of the same image, each as likely
                first, last = np.searchsorted(
                    self.index.image, self.index.image[chosen] + np.arange(2)
                )
                chosen = int(first + own_pick * (last - first))
            return int(self.index.image[chosen]), self.index.box[chosen].tolist()
        image = int(images[int(pick * len(images))])
        point = (np.array(within) * self.index.image_size[image]).tolist()
        return image, point + point

    def __getstate__(self) -> dict[str, Any]:
        # A worker that is started anew gets the settings, not the decoded images.
        return {name: value for name, value in self.__dict__.items() if name != "_sources"}


def empty_share(empty: int, images: int) -> float:
    """Share of the crops that shows images without an object, by default.

    It is their share of the images, but never above :data:`MOST_EMPTY`: they teach what is no
    object, and hardly more by being seen more often.
    """
    return min(empty / max(images, 1), MOST_EMPTY)


def _keep_inside(center: float, extent: float, length: int) -> float:
    """Move a center so that the crop stays inside the image, or shows all of a smaller one."""
    first, last = extent / 2 - 0.5, length - extent / 2 - 0.5
    return float(min(max(center, min(first, last)), max(first, last)))


def _cut(window: Window, warp: Warp | VolumeWarp, change: Change, rng: np.random.Generator) -> Crop:
    import torch

    truth = window.truth
    outside = ~warp.inside(window.image.shape[1:])
    image = shade(warp.image(window.image, change.blur), change, rng)
    label_mask, class_map, ignore = map(warp.nearest, truth)
    if outside.any():
        image *= ~outside
        label_mask[..., outside] = 0
        class_map[..., outside] = -1
        ignore |= outside
    return Crop(
        torch.from_numpy(np.ascontiguousarray(image)),
        torch.from_numpy(label_mask.astype(np.int32, copy=False)),
        torch.from_numpy(class_map.astype(np.int64)),
        torch.from_numpy(ignore),
        window.name,
    )

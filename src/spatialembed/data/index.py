"""Every object of a data set in one table, so that crops are drawn around objects without reading.

Made by reading all label masks once, large ones block by block; index_cache.py keeps it. Images
are looked at on the way, so that one that does not fit its mask is found before training begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spatialembed.data.data_set import DataSet, FileDataSet
from spatialembed.data.images.reading import stated_shape
from spatialembed.data.images.windows import blocks
from spatialembed.data.index_cache import (
    Known,
    known_index,
    nothing,
    places,
    save_index,
    signatures,
)
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.mixture import Mixture
from spatialembed.data.parts import joined, objects_in, parts_of
from spatialembed.data.targets import Targets
from spatialembed.data.volume_objects import objects_in_volume, plane_diameters
from spatialembed.errors import UserError
from spatialembed.files.described import some

DECODED = 2**28
"""Pixels of images that are decoded where headers would do: those of a set of ordinary size.
Volumes are decoded in any case."""

SPECK, LARGER, FEWEST_SPECKS = 9, 20, 0.1
"""See :func:`specks`."""

Progress = Callable[[str, int, int], None]
"""Called with a split, how many of its images were looked at, and how many there are."""


@dataclass(frozen=True, eq=False)
class ObjectIndex:
    """N objects of M images, in the order of images, then of ids.

    Attributes:
        image: (N,) int32, number of the image in the data set.
        label: (N,) int32, id in the image's label mask.
        class_index: (N,) int32, index into the data set's ``class_names``, of targets too.
        box: (N, 4) int32, y0 x0 y1 x1 in pixels, half open, of the object without parts that lie
            far from its largest one: a stray pixel does not move it. Of volumes (N, 6), z0 y0 x0
            z1 y1 x1.
        area: (N,) int32, pixels of all parts.
        image_size: (M, 2) int32, height and width of every image of the data set; of volumes
            (M, 3), depth first.
        channels: (M,) int32 of every image.

    Raises:
        UserError: arrays that do not fit together.
    """

    image: np.ndarray
    label: np.ndarray
    class_index: np.ndarray
    box: np.ndarray
    area: np.ndarray
    image_size: np.ndarray
    channels: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.image)
        m = len(self.image_size)
        dims = self.dims
        shapes = (n,), (n,), (n,), (n, 2 * dims), (n,), (m, dims), (m,)
        for (name, array), shape in zip(vars(self).items(), shapes, strict=True):
            if array.shape != shape or array.dtype != np.int32:
                raise UserError(
                    f"an object index needs {name} of shape {shape} and type int32, not "
                    f"{array.shape} and {array.dtype}"
                )
        if n and not 0 <= self.image.min() <= self.image.max() < len(self.image_size):
            raise UserError("an object index names an image that the data set does not have")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def dims(self) -> int:
        """Spatial axes of the images."""
        return 3 if self.image_size.shape[1:] == (3,) else 2

    @property
    def diameter(self) -> np.ndarray:
        """(N,) float64 pixels: diameter of the disc of each object's area.

        Of volumes that in the planes, of an ellipsoid of the object's voxels and depth.
        """
        if self.dims == 2:
            return np.sqrt(self.area * (4 / np.pi))
        return plane_diameters(self.area, self.box[:, 3] - self.box[:, 0])

    @property
    def empty(self) -> np.ndarray:
        """Numbers of the images without an object."""
        return np.flatnonzero(np.bincount(self.image, minlength=len(self.image_size)) == 0)

    def without_specks(self) -> ObjectIndex:
        """The objects without those that :func:`specks` names."""
        kept = ~specks(self.area)
        names = ("image", "label", "class_index", "box", "area")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


def object_index(
    dataset: DataSet,
    whole: bool = False,
    progress: Progress | None = None,
) -> ObjectIndex:
    """The index of a data set, of which only files are read that changed since it was last made.

    It is kept in a hidden file in the data set's folder, or where that cannot be written in one in
    the user's cache folder, or nowhere.

    Args:
        dataset: one split.
        whole: whether every image is decoded; otherwise the first :data:`DECODED` pixels are, and
            only the headers of further images.
        progress: told of every image that is read.

    Raises:
        UserError: no object anywhere, a file that cannot be read, image and truth of different
            sizes, or with ``whole`` an image too large to be read so.
    """
    if isinstance(dataset, Mixture):  # each set keeps its own
        return _one_after_another([object_index(d, whole, progress) for d in dataset.sets])
    if isinstance(dataset, Targets):
        each = [object_index(d, whole, progress) for d in dataset.each]
        return _of_targets(dataset, each)
    files = places(dataset, whole)
    if not files:
        return build_object_index(dataset)
    signature = signatures(dataset)
    known = known_index(files, signature, _dims(dataset))
    # Of no images nothing is known, and nothing changed: there is no object.
    if len(dataset) and np.array_equal(known.signature, signature):
        return _from_table(known.table, known.image_shape)
    table, shape = _read(dataset, known, signature, whole, progress)
    save_index(files, Known(signature, table, shape))
    return _from_table(table, shape)


def build_object_index(dataset: DataSet) -> ObjectIndex:
    """Read every label mask of ``dataset`` once.

    Raises:
        UserError: no object anywhere, or a file that cannot be read.
    """
    return _from_table(*_read(dataset, nothing(_dims(dataset)), np.zeros(len(dataset), np.uint64)))


def specks(area: np.ndarray) -> np.ndarray:
    """(N,) bool: which of N objects of these areas are stray pixels with ids of their own.

    They have at most :data:`SPECK` pixels where most pixels are of objects of :data:`LARGER` times
    as many, and are a tenth of all objects or more: fewer decide nothing.
    """
    if not len(area):
        return np.zeros(0, bool)
    ordered = np.sort(area).astype(np.int64)
    typical = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    found: np.ndarray = (area <= SPECK) & (area * LARGER <= typical)
    return found if found.mean() >= FEWEST_SPECKS else np.zeros(len(area), bool)


def _dims(dataset: DataSet) -> int:
    if isinstance(dataset, FileDataSet):
        return dataset.dims
    return dataset[0].label_mask.ndim if len(dataset) else 2


def _look(
    dataset: DataSet, number: int, whole: bool, decode: bool
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Objects of one image, as :func:`objects_in` gives them, and its height, width, channels.

    Args:
        dataset: one split.
        number: of the image.
        whole: whether the image is read as scoring does, in one piece.
        decode: whether it is read where it is not large.
    """
    if isinstance(dataset, FileDataSet) and not whole:
        large = dataset.large(number)
        if large is not None:
            return _large_objects(large), (*large.image.shape, large.image.channels)
        header = None
        if not decode and dataset.dims == 2:
            header = stated_shape(dataset.items[number].image)
        if header is not None:
            truth = dataset.truth(number)
            if header[:2] == truth.label_mask.shape:
                return objects_in(parts_of(truth.label_mask, truth.class_map).table), header
    sample = dataset[number]  # which refuses sizes that differ
    if sample.label_mask.ndim == 3:
        table = objects_in_volume(sample.label_mask, sample.class_map, sample.ignore)
        return table, sample.image.shape
    return objects_in(parts_of(sample.label_mask, sample.class_map).table), sample.image.shape


def _large_objects(large: LargeSample) -> np.ndarray:
    """As :func:`objects_in`; read block by block."""
    parts = []
    for rows, columns in blocks(large.mask):
        truth = large.truth(rows, columns)
        corner = (rows.start, columns.start)
        parts.append(parts_of(truth.label_mask, truth.class_map, corner))
    return objects_in(joined(parts))


def _read(
    dataset: DataSet,
    known: Known,
    signature: np.ndarray,
    whole: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Table of objects, and shapes of images: what is known of the files, the others read."""
    table, shape, fresh = known.of(signature)
    count = len(dataset)
    rows = bytearray()  # tables of a million images as arrays of their own would be large
    decoded = 0
    for number in np.flatnonzero(fresh).tolist():
        found, shape[number] = _look(dataset, number, whole, decoded < DECODED)
        decoded += math.prod(shape[number, :-1].tolist())
        rows += np.insert(found, 0, number, axis=1).tobytes()
        if progress is not None:
            progress(dataset.split, number + 1, count)
    table = np.concatenate([table, np.frombuffer(rows, np.int32).reshape(-1, table.shape[1])])
    table = table[np.argsort(table[:, 0], kind="stable")]
    if not len(table):
        masks = f"masks in {dataset.files(0)[-1].parent}" if count else "none has a mask of it"
        of = "" if dataset.class_names == ("object",) else f" of {', '.join(dataset.class_names)}"
        images = some(count, f"{dataset.split} {'image' if _dims(dataset) == 2 else 'volume'}")
        raise UserError(
            f"no object{of} in the {images} ({masks}); label some, or choose other classes"
            + (", or hold out more images (--holdout)" if dataset.split == "val" else "")
            # which may be why, as where all annotations are set aside
            + "".join(f"; {problem}" for problem in getattr(dataset, "problems", ())[:2])
        )
    return table, shape


def _one_after_another(indexes: Sequence[ObjectIndex]) -> ObjectIndex:
    """The index of data sets whose images follow each other."""
    joined = {n: np.concatenate([getattr(one, n) for one in indexes]) for n in vars(indexes[0])}
    firsts = [0, *np.cumsum([len(one.image_size) for one in indexes])[:-1]]
    joined["image"] += np.repeat(np.array(firsts, np.int32), [len(one) for one in indexes])
    return ObjectIndex(**joined)


def _of_targets(dataset: Targets, each: Sequence[ObjectIndex]) -> ObjectIndex:
    """The objects of all targets, those of an image one target after the other, as its class."""
    place = {name: number for number, name in enumerate(dataset.names)}
    size = np.zeros((len(place), each[0].dims), np.int32)
    channels = np.zeros(len(place), np.int32)
    tables = []
    for k, (data, own) in enumerate(zip(dataset.each, each, strict=True)):
        numbers = np.array([place[name] for name in data.names], np.int32)
        size[numbers], channels[numbers] = own.image_size, own.channels
        kind = np.full(len(own), k, np.int32)
        tables.append(np.column_stack([numbers[own.image], own.label, kind, own.box, own.area]))
    table = np.concatenate(tables)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return _from_table(table, np.column_stack([size, channels]))


def _from_table(table: np.ndarray, shape: np.ndarray) -> ObjectIndex:
    """The index of (N, 8) image, label, class, box and area of all objects, and images' shapes;
    of volumes (N, 10).
    """
    image, label, class_index, *_, area = np.ascontiguousarray(table.T)
    box, size = np.ascontiguousarray(table[:, 3:-1]), np.ascontiguousarray(shape[:, :-1])
    channels = np.ascontiguousarray(shape[:, -1])
    return ObjectIndex(image, label, class_index, box, area, size, channels)

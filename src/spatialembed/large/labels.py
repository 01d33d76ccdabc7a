"""Labels of a large image or volume as OME-Zarr: one id an object, and smaller copies for viewers.

OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5): an image of labels in a group, its axes and
scales in the group's ``ome`` attributes, ``image-label`` among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.data.images.zarr_image import Grid
from spatialembed.large.mosaic import LEVELS, Mosaic
from spatialembed.large.seams import KEY, claims
from spatialembed.large.segment import read_arrays, read_objects, write_arrays

IDS = "ids.npz"
"""The dropped keys, and the ids that come before those of each tile."""

LARGEST_CHUNK = {2: 1024, 3: 128}
"""Side of a chunk, by the number of axes."""

TABLE_CHUNK = 2**18
"""Objects in a chunk of their table."""


@dataclass(frozen=True)
class Paint:
    """The work of writing the labels of a tile's core, at every scale.

    Attributes:
        mosaic: the tiles.
        folder: where their objects are and :data:`IDS` of :func:`number`, and the labels.
        flat: as :func:`steps` has it.
    """

    mosaic: Mosaic
    folder: Path
    flat: int = 0

    def __call__(self, tile: int) -> dict[str, Any]:
        """Write them."""
        import zarr

        core = self.mosaic.core_of(tile)
        labels = painted(self.mosaic, self.folder, tile)
        group = zarr.open_group(self.folder / "labels", mode="r+")
        for level in range(LEVELS + 1):
            by = steps(level, len(core), self.flat)
            part = labels[tuple(slice(None, None, step) for step in by)]
            starts = [side.start // step for side, step in zip(core, by, strict=True)]
            array: Any = group[str(level)]
            array[tuple(slice(a, a + n) for a, n in zip(starts, part.shape, strict=True))] = part
        return {}


def steps(level: int, dims: int, flat: int = 0) -> tuple[int, ...]:
    """Of how many pixels along each axis a level has the first.

    Along z it begins after ``flat`` levels: where planes lie far apart pixels are halved first.
    """
    depth = () if dims == 2 else (2 ** max(0, level - flat),)
    return (*depth, 2**level, 2**level)


def flat_of(spacing: Sequence[float]) -> int:
    """How many levels leave z alone, until voxels are about cubes."""
    z, y, x = spacing
    return min(max(round(math.log2(z / math.sqrt(y * x))), 0), LEVELS)


def number(mosaic: Mosaic, folder: Path, dropped: np.ndarray) -> int:
    """Give every object that is left an id from 1, tile by tile, best first; how many there are.

    Writes :data:`IDS`.
    """
    gone = np.bincount(dropped // KEY, minlength=len(mosaic))
    counts = [len(read_objects(folder, tile).score) - gone[tile] for tile in range(len(mosaic))]
    before = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    write_arrays(folder / IDS, {"dropped": dropped, "before": before})
    return int(before[-1])


def painted(mosaic: Mosaic, folder: Path, tile: int) -> np.ndarray:
    """(*s,) int64 ids of a tile's core."""
    window = mosaic.core_of(tile)
    dropped, before = read_arrays(folder / IDS).values()
    core = read_objects(folder, tile).core(window)
    labels = np.concatenate([[0], _ids(folder, tile, dropped, before)])[core]
    claimed = claims(mosaic, folder, tile)
    left = ~np.isin(claimed.key, dropped)
    place, key, score, kind = (column[left] for column in claimed)
    order = np.lexsort((-key, -kind, score))  # the best of those that claim a pixel last
    place, key = place[order], key[order]
    given = np.empty_like(key)
    for other in np.unique(key // KEY):
        mine = key // KEY == other
        given[mine] = _ids(folder, int(other), dropped, before)[key[mine] % KEY]
    flat = labels.ravel()
    flat[place] = given  # of equal places the last one stays
    return np.asarray(flat.reshape(core.shape))


def _ids(folder: Path, tile: int, dropped: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(N,) ids of a tile's objects, 0 where dropped."""
    keys = tile * KEY + np.arange(len(read_objects(folder, tile).score))
    left = ~np.isin(keys, dropped)
    return np.where(left, before[tile] + left.cumsum(), 0)


def make_labels(paint: Paint, count: int, class_names: tuple[str, ...], grid: Grid) -> None:
    """Make the arrays that :class:`Paint` writes to, all background, in "labels" of its folder.

    Ids are uint32 where ``count`` fits, else uint64; units, pixel size and place are the grid's.
    """
    import zarr

    group = zarr.create_group(
        paint.folder / "labels",
        zarr_format=3,
        overwrite=True,
        attributes={"ome": _metadata(grid, paint.flat), "class_names": list(class_names)},
    )
    dtype = np.uint32 if count < 2**32 else np.uint64
    shape, core = paint.mosaic.shape, paint.mosaic.core
    largest = [_chunk(side, LARGEST_CHUNK[len(shape)]) for side in core]
    for level in range(LEVELS + 1):
        by = steps(level, len(shape), paint.flat)
        group.create_array(
            str(level),
            shape=tuple(-(-n // step) for n, step in zip(shape, by, strict=True)),
            chunks=tuple(  # a tile's own at every scale
                min(chunk, side // step)
                for chunk, side, step in zip(largest, core, by, strict=True)
            ),
            dtype=dtype,
            dimension_names=tuple("zyx"[-len(shape) :]),
        )


def _chunk(core: int, largest: int) -> int:
    """Side of a chunk of which a core has a whole number."""
    while core > largest and core % 2 == 0:
        core //= 2
    return core


def write_table(mosaic: Mosaic, folder: Path, count: int) -> None:
    """Write one row an object: ``instances/score``, ``class`` and ``box``, row k of id k + 1."""
    import zarr

    dropped, before = read_arrays(folder / IDS).values()
    group = zarr.open_group(folder / "labels", mode="r+").require_group("instances")
    columns: dict[str, tuple[tuple[int, ...], Any]] = {
        "score": ((), np.float32), "class": ((), np.int32),
        "box": ((2 * len(mosaic.shape),), np.int64),
    }  # fmt: skip
    arrays = {
        name: group.create_array(
            name, shape=(count, *rest), chunks=(TABLE_CHUNK, *rest), dtype=dtype, overwrite=True
        )
        for name, (rest, dtype) in columns.items()
    }
    for tile in range(len(mosaic)):
        objects = read_objects(folder, tile)
        left = _ids(folder, tile, dropped, before) > 0
        rows = slice(int(before[tile]), int(before[tile + 1]))
        given = (objects.score, objects.kind, objects.box)
        for array, values in zip(arrays.values(), given, strict=True):
            if rows.stop > rows.start:
                array[rows] = values[left]


def _metadata(grid: Grid, flat: int) -> dict[str, Any]:
    """The attributes of labels of an image."""
    axes, size, place = grid
    moved = [{"type": "translation", "translation": place}] if any(place) else []
    levels = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        float(step) * side
                        for step, side in zip(steps(level, len(size), flat), size, strict=True)
                    ],
                },
                *moved,
            ],
        }
        for level in range(LEVELS + 1)
    ]
    return {
        "version": "0.5",
        "multiscales": [{"name": "labels", "axes": axes, "datasets": levels}],
        "image-label": {"version": "0.5"},
    }

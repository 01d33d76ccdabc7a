"""A tile's objects: those that are centered in its core, each with all of its pixels.

What a tile sees reaches beyond its core, so that no object of the core is cut. An object belongs
to the tile that holds the middle of its box; one near a border is kept by both sides, lest each
leave it to the other. seams.py tells which of them stays.
"""

from __future__ import annotations

import copy
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spatialembed.data.images.reading import open_windowed
from spatialembed.data.images.series import Series
from spatialembed.data.images.stack_windows import open_windowed_stack
from spatialembed.data.images.windows import WindowedImage
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.inference.channels import fitting
from spatialembed.inference.looks import look_at
from spatialembed.inference.zoom import Part
from spatialembed.instances import Instances
from spatialembed.large.mosaic import Mosaic, Window
from spatialembed.large.worker_model import Source, model_here
from spatialembed.models.normalization import Normalize

TOLERANCE = 8
"""Pixels beyond the core in which an object's middle may lie."""


class Objects(NamedTuple):
    """The objects of a tile, numbered from 0 in order of score."""

    score: np.ndarray
    """(N,) float32."""
    kind: np.ndarray
    """(N,) int32 class."""
    area: np.ndarray
    """(N,) int64 pixels."""
    box: np.ndarray
    """(N, 2 D) int64 in the image: lower corner, then upper corner, half-open; y0, x0, y1, x1."""
    run_label: np.ndarray
    """(R,) int32: number + 1 of the object of each run of the core's pixels, 0 for none."""
    run_length: np.ndarray
    """(R,) int32 pixels of it, row by row."""
    outer_place: np.ndarray
    """(M, D) int32 place in the image, y, x, of the pixels outside of the core."""
    outer_number: np.ndarray
    """(M,) int32 number of the object of each of them."""

    def core(self, window: Window) -> np.ndarray:
        """(*s,) int32: number + 1 of the object of each pixel of the core."""
        flat = np.repeat(self.run_label, self.run_length)
        return flat.reshape([side.stop - side.start for side in window])

    def outer_in(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Flat place in a window, and object, of the pixels outside of the core that lie there."""
        inside = np.ones(len(self.outer_place), bool)
        for side, at in zip(window, self.outer_place.T, strict=True):
            inside &= (at >= side.start) & (at < side.stop)
        place = np.zeros(np.count_nonzero(inside), np.int64)
        for side, at in zip(window, self.outer_place[inside].T, strict=True):
            place = place * (side.stop - side.start) + (at - side.start)
        return place, self.outer_number[inside]


@dataclass(frozen=True)
class Segment:
    """The work of finding the objects of a tile; their file is what comes of it.

    ``normalize`` is the model's of the whole image; ``settings`` are seed threshold, foreground
    threshold and minimum size; ``series`` is what is read of the file.
    """

    source: Source
    image: Path
    mosaic: Mosaic
    normalize: Normalize
    settings: tuple[float, float, int]
    folder: Path
    threads: int = 1
    series: Series = None

    def __call__(self, tile: int) -> dict[str, Any]:
        """Find them.

        Raises:
            UserError: the part of the image cannot be read, or the file not be written.
        """
        seen, core = self.mosaic.seen_by(tile), self.mosaic.core_of(tile)
        pixels = open_image(self.image, self.series, len(seen)).read(*seen)
        model = copy.copy(model_here(self.source, self.threads))  # which others use after this
        model.normalize = self.normalize
        height, width = self.mosaic.shape[-2:]
        part = Part(seen[-2], seen[-1], (height, width))
        output = model.output(pixels, str(self.image), part)
        found = model.cluster(output, *self.settings, whole=part.shape)
        look = None
        if len(seen) == 2:  # of volumes nobody knows what is usual
            fitted = fitting(model.name, model.spec, pixels, str(self.image))
            look = look_at(model, fitted, output, found)
        objects = taken(found, seen, core)
        write_arrays(file_of(self.folder, tile), objects._asdict())
        return {"found": len(objects.score), "look": look}


def open_image(path: Path, series: Series = None, dims: int = 2) -> WindowedImage:
    """An image or a volume to be read in parts, the only one of its file or that of a number.

    Raises:
        UserError: it cannot be, or only as a whole, or has not as many axes as ``dims``.
    """
    opened = open_windowed_stack(path, series) if dims == 3 else open_windowed(path, series=series)
    if opened is None:
        raise UserError(
            f"{path} cannot be read in parts; predict it into a folder (--out found), or store it "
            "as OME-Zarr or as a tiled TIFF"
        )
    return opened


def file_of(folder: Path, tile: int) -> Path:
    """Where the objects of a tile are."""
    return folder / "objects" / f"{tile}.npz"


def read_objects(folder: Path, tile: int) -> Objects:
    """The objects of a tile.

    Raises:
        UserError: its file is gone or damaged.
    """
    return Objects(**read_arrays(file_of(folder, tile)))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that a run keeps.

    Raises:
        UserError: it is gone or damaged.
    """
    try:
        with np.load(path) as held:
            return dict(held)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is gone or damaged; delete it and run the same command again"
        ) from error


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write such a file, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def taken(found: Instances, seen: Window, core: Window) -> Objects:
    """Of the instances of what a tile sees, those that may belong to its core."""
    corner = np.array([side.start for side in seen])
    box = found.boxes.astype(np.int64) + np.tile(corner, 2)
    middle = (box[:, : len(seen)] + box[:, len(seen) :]) / 2
    low = np.array([side.start for side in core]) - TOLERANCE
    high = np.array([side.stop for side in core]) + TOLERANCE
    own = np.flatnonzero(((middle >= low) & (middle < high)).all(1))
    number = np.zeros(len(found) + 1, np.int32)
    number[own + 1] = np.arange(1, len(own) + 1)
    label = number[found.label_map]
    inner = tuple(
        slice(mine.start - all_.start, mine.stop - all_.start)
        for mine, all_ in zip(core, seen, strict=True)
    )
    flat = label[inner].flatten()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] - 1))
    label[inner] = 0
    outer = np.argwhere(label)
    return Objects(
        found.scores[own],
        found.classes[own],
        found.areas[own],
        box[own],
        flat[starts],
        np.diff(starts, append=flat.size).astype(np.int32),
        (outer + corner).astype(np.int32),
        label[tuple(outer.T)] - 1,
    )

"""Training from painted images: what is known of them, and the run that learns it.

A painter corrects some objects of an image and leaves the rest. What was not touched is unknown:
it is ignored, neither object nor background.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from scipy import ndimage

from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.formats.label_images import save_label_tiff

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model

RIM = 4
"""Pixels around a painted object that are background: it ends where its paint does."""


@dataclass(frozen=True, eq=False)
class Painted:
    """An image and what was painted on it.

    Attributes:
        image: (H, W) or (H, W, C) as stored.
        labels: (H, W) integer, 0 where nothing is painted.
        found: (H, W) integer, what a model had found before; None if it was not asked.
        complete: whether every object is painted, so that all else is background.

    Raises:
        UserError: shapes that differ.
    """

    image: np.ndarray
    labels: np.ndarray
    found: np.ndarray | None = None
    complete: bool = False

    def __post_init__(self) -> None:
        shapes = {self.image.shape[:2], self.labels.shape}
        shapes |= set() if self.found is None else {self.found.shape}
        if len(shapes) > 1:
            raise UserError(f"image and labels are of different sizes: {sorted(shapes)}")

    def touched(self) -> np.ndarray:
        """(H, W) bool: the objects that were painted or changed, as they are now.

        One that lost pixels is changed, too: by an eraser, or to another object.
        """
        if self.found is None:
            return np.asarray(self.labels > 0)
        changed = self.labels != self.found
        ids = np.union1d(self.labels[changed], self.found[changed])
        return np.isin(self.labels, ids[ids > 0])

    def mask(self) -> np.ndarray:
        """(H, W) label mask of the objects that are known."""
        return np.where(self.touched() | self.complete, self.labels, 0)

    def ignore(self) -> np.ndarray:
        """(H, W) bool: what nobody knows.

        Known are touched objects, a rim around them, and what was taken off an object that a
        model had found. Objects that were found and left alone are not known to be right.
        """
        if self.complete:
            return np.zeros(self.labels.shape, bool)
        touched = self.touched()
        known = touched | (_near(touched) & (self.labels == 0))
        if self.found is not None:
            known |= (self.found > 0) & (self.labels == 0)
        return np.asarray(~known)


def _near(touched: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels at most :data:`RIM` from a touched one; none where nothing is touched."""
    if not touched.any():  # scipy would measure to a point beyond the corner of the image
        return np.zeros_like(touched)
    return np.asarray(ndimage.distance_transform_edt(~touched) <= RIM)


def write_data(folder: Path, painted: Sequence[Painted]) -> None:
    """Write painted images as a label folder of training images.

    Args:
        folder: of the data set, made if it is not there.
        painted: the images.

    Raises:
        UserError: nothing is painted, or a file cannot be written.
    """
    masks = [one.mask() for one in painted]
    if not any(mask.any() for mask in masks):
        raise UserError("nothing is painted yet: correct an object, or paint one, then train")
    for k, (one, mask) in enumerate(zip(painted, masks, strict=True)):
        name = f"{k:03}.tif"
        with atomic_write(folder / "train" / "images" / name) as path:
            rgb = one.image.ndim == 3 and one.image.shape[2] == 3
            kind = "rgb" if rgb else "minisblack"
            tifffile.imwrite(path, one.image, photometric=kind, planarconfig="contig")
        save_label_tiff(folder / "train" / "masks" / name, mask)
        save_label_tiff(folder / "train" / "ignore" / name, one.ignore().astype(np.uint8))


def training_command(
    model: str, start: Model, painted: Sequence[Painted], data: Path, out: Path, **length: float
) -> list[str]:
    """The command that trains, in a process of its own so that the viewer stays alive.

    It learns carefully (training/few_images): no further from the model than helps on what is
    held back of the painted images.

    Args:
        model: what to start from, as the command takes it.
        start: the same, as it sees the images.
        painted: the images.
        data: their folder, by :func:`write_data`.
        out: run folder.
        length: such as ``minutes=2``.
    """
    options = {"init": model, "out": out, "careful": "true", **length}
    if start.size_ratio != 1:  # a diameter was set: painted objects are to be shown as it says
        options["diameter"] = _diameter(painted) * start.zoom
    given = [f"--{name}={value}" for name, value in options.items()]
    classes = ["--classes", *start.spec.class_names]
    return [sys.executable, "-m", "spatialembed", "train", str(data), *given, *classes]


def _diameter(painted: Sequence[Painted]) -> float:
    """Median of the painted objects, in pixels."""
    areas = [np.unique(one.mask()[one.mask() > 0], return_counts=True)[1] for one in painted]
    return float(np.median(np.sqrt(np.concatenate(areas) * 4 / np.pi)))

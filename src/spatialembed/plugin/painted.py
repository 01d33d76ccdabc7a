"""Training from painted images and volumes: what is known of them, and the run that learns it.

A painter corrects some objects of an image and leaves the rest. What was not touched is unknown:
it is ignored, neither object nor background.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from scipy import ndimage

from spatialembed.data.images.spacing import PixelSize, Spacing
from spatialembed.data.volume_objects import objects_in_volume, plane_diameters
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.formats.label_images import save_label_tiff

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model

RIM = 4
"""Pixels around a painted object that are background: it ends where its paint does. Of a volume
pixels of a plane; along each axis it is one voxel at least."""


@dataclass(frozen=True, eq=False)
class Painted:
    """An image, or a volume, and what was painted on it.

    Attributes:
        image: (H, W) or (H, W, C) as stored; of a volume (Z, H, W) or (Z, H, W, C).
        labels: (H, W) or (Z, H, W) integer, 0 where nothing is painted.
        found: of that shape, integer, what a model had found before; None if it was not asked.
        complete: whether every object is painted, so that all else is background.
        spacing: micrometres between the voxels of a volume along z, y and x, or numbers in their
            proportion; None where nobody knows, and they are taken for cubes.
        pixel_size: micrometres that a pixel of an image, or of a volume's planes, is high and wide;
            None where nobody knows.

    Raises:
        UserError: shapes that differ.
    """

    image: np.ndarray
    labels: np.ndarray
    found: np.ndarray | None = None
    complete: bool = False
    spacing: Spacing | None = None
    pixel_size: PixelSize | None = None

    def __post_init__(self) -> None:
        shapes = {self.image.shape[: self.labels.ndim], self.labels.shape}
        shapes |= set() if self.found is None else {self.found.shape}
        if len(shapes) > 1:
            raise UserError(
                f"image and labels are of different sizes, {sorted(shapes)}; select layers of one"
            )

    def touched(self) -> np.ndarray:
        """(*S) bool: the objects that were painted or changed, as they are now.

        One that lost pixels is changed, too: by an eraser, or to another object.
        """
        if self.found is None:
            return np.asarray(self.labels > 0)
        changed = self.labels != self.found
        ids = np.union1d(self.labels[changed], self.found[changed])
        return np.isin(self.labels, ids[ids > 0])

    def mask(self) -> np.ndarray:
        """(*S) label mask of the objects that are known."""
        return np.where(self.touched() | self.complete, self.labels, 0)

    def ignore(self) -> np.ndarray:
        """(*S) bool: what nobody knows.

        Known are touched objects, a rim around them, and what was taken off an object that a
        model had found. Objects that were found and left alone are not known to be right. Of one
        that was painted in some planes alone nobody knows what it is above and below them.
        """
        if self.complete:
            return np.zeros(self.labels.shape, bool)
        touched = self.touched()
        known = touched | (self._rim(touched) & (self.labels == 0))
        if self.found is not None:
            known |= (self.found > 0) & (self.labels == 0)
        return np.asarray(~known)

    @property
    def steps(self) -> tuple[float, ...] | None:
        """What files state of it, as ``spacing`` or ``pixel_size``."""
        return self.spacing if self.labels.ndim == 3 else self.pixel_size

    def planes(self) -> Iterator[Painted]:
        """The planes of a volume as images: those of which something is known."""
        for z, labels in enumerate(self.labels):
            found = None if self.found is None else self.found[z]
            plane = Painted(self.image[z], labels, found, self.complete, None, self.pixel_size)
            if not plane.ignore().all():
                yield plane

    def _rim(self, touched: np.ndarray) -> np.ndarray:
        """(*S) bool: what is near touched objects, and nothing that may be more of them."""
        if touched.ndim == 2:
            return _near(touched, (1.0, 1.0))
        spacing = self.spacing or (1.0, 1.0, 1.0)
        z, y, x = (min(step / spacing[2], RIM) for step in spacing)
        labels = np.where(touched, self.labels, 0)
        sketched = touched & np.isin(labels, _sketched(labels))
        beyond = _near(np.any(sketched, axis=0), (y, x))
        whole = _near(touched & ~sketched, (z, y, x)) & ~beyond
        return np.asarray(whole | _near(sketched, (RIM + 1, y, x)))


def _near(touched: np.ndarray, steps: tuple[float, ...]) -> np.ndarray:
    """(*S) bool: pixels at most :data:`RIM` from a touched one; none where nothing is touched.

    ``steps`` is how far pixels lie apart along each axis.
    """
    near = np.zeros_like(touched)
    reach = [math.ceil(RIM / step) for step in steps]
    # Around each part: where nothing is touched scipy measures to a point beyond the corner, and of
    # a whole volume it takes long.
    for part in ndimage.find_objects(ndimage.label(touched)[0]):
        ends = zip(part, reach, strict=True)
        around = tuple(slice(max(0, side.start - r), side.stop + r) for side, r in ends)
        near[around] |= ndimage.distance_transform_edt(~touched[around], steps) <= RIM
    return near


def _sketched(labels: np.ndarray) -> np.ndarray:
    """Ids of (Z, H, W) labels that are in one plane alone, or in planes with others between."""
    each = [np.unique(plane[plane > 0]) for plane in labels]
    plane = np.repeat(np.arange(len(each)), [len(ids) for ids in each])
    ids, of, count = np.unique(np.concatenate(each), return_inverse=True, return_counts=True)
    last, first = np.zeros(len(ids), int), np.full(len(ids), len(labels))
    np.maximum.at(last, of, plane)
    np.minimum.at(first, of, plane)
    return np.asarray(ids[(count == 1) | (last - first + 1 > count)])


def write_data(folder: Path, painted: Sequence[Painted]) -> None:
    """Write painted images, or volumes, as a label folder of training images.

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
            _write_image(path, one)
        save_label_tiff(folder / "train" / "masks" / name, mask, one.steps)
        ignore = one.ignore().astype(np.uint8)
        save_label_tiff(folder / "train" / "ignore" / name, ignore, one.steps)


def _write_image(path: Path, painted: Painted) -> None:
    image, channels = painted.image, painted.image.shape[painted.labels.ndim :]
    kind = "rgb" if channels == (3,) and image.dtype != bool else "minisblack"
    spatial = "ZYX"[-painted.labels.ndim :]
    axes = f"{spatial}S" if kind == "rgb" else f"{spatial[:-2]}CYX" if channels else spatial
    image = np.moveaxis(image, -1, -3) if "C" in axes else image
    steps = zip(spatial, painted.steps or (), strict=False)
    stated = {f"PhysicalSize{axis}": step for axis, step in steps}  # micrometres, as OME has it
    ome = image.dtype not in (bool, np.int64, np.uint64, np.float16)  # for which it has no name
    metadata: dict[str, Any] = {"axes": axes, **(stated if ome else {})}
    tifffile.imwrite(path, image, photometric=kind, ome=ome, metadata=metadata)


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
    """Median of the painted objects, in pixels; of volumes in their planes."""
    if painted[0].labels.ndim == 3:
        pairs = [(one.mask(), one.ignore()) for one in painted]
        tables = [objects_in_volume(mask, np.zeros_like(mask), ignore) for mask, ignore in pairs]
        table = np.concatenate(tables)
        return float(np.median(plane_diameters(table[:, -1], table[:, 5] - table[:, 2])))
    areas = [np.unique(one.mask()[one.mask() > 0], return_counts=True)[1] for one in painted]
    return float(np.median(np.sqrt(np.concatenate(areas) * 4 / np.pi)))

"""An image or volume that was given to the page, and what comes of it: kept free of its library.

The network runs once an image; a threshold that moves clusters its output again, what is looked at
does not.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spatialembed.app.zipped import unzipped
from spatialembed.data.images.reading import image_size, read_image, read_stack, stack_size
from spatialembed.errors import UserError
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.measurements import write_measurements
from spatialembed.inference.image_files import ImageFile, spacing_of
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.predictor import Model
from spatialembed.instances import Instances
from spatialembed.pictures import Explanation, Plane, VolumeExplanation

MOST_MEGAPIXELS = 25
"""Of an image on the page, and of a volume millions of voxels; ``spatialembed predict`` takes
larger ones."""

OPTIONS = frozenset(
    f"--{name}"
    for name in (
        *("host", "port", "browser", "symmetries", "diameter", "invert", "pixel_size"),
        *("device", "precision", "help"),
    )
)
"""Of ``spatialembed serve``."""

Settings: TypeAlias = tuple[float, float, int]
"""Seed threshold, foreground threshold and minimum size."""


@dataclass(eq=False)
class Study:
    """An image and the network's output of it.

    Attributes:
        name: of the file, without folder and suffix.
        image: (H, W, C) pixels as stored, of a volume (Z, H, W, C).
        output: (D + n_sigma + K, *S) raw output.
        model: what it is of, at the size of the image's objects.
        spacing: micrometres between its pixels along (y, x), of a volume its voxels along
            (z, y, x), where its file states them or the model was told.
        larger: how many pixels it is shown by for each that the page's model shows by itself;
            minimum sizes are given as of that.
        notes: what else there is to know of it.
    """

    name: str
    image: np.ndarray
    output: np.ndarray
    model: Model
    spacing: tuple[float, ...] | None = None
    larger: float = 1.0
    notes: tuple[str, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _found: tuple[Settings, Instances] | None = None
    _volume: VolumeExplanation | None = None

    @property
    def nbytes(self) -> int:
        """Of all that is held."""
        found = 0 if self._found is None else self._found[1].label_map.nbytes
        drawn = 0 if self._volume is None else self._volume.rgb.nbytes
        return self.image.nbytes + self.output.nbytes + found + drawn

    @property
    def is_volume(self) -> bool:
        """Whether it has planes."""
        return self.image.ndim == 4

    def found(self, settings: Settings) -> Instances:
        """What is found with these settings; the last is kept."""
        with self._lock:
            if self._found is None or self._found[0] != settings:
                seed, foreground, size = settings
                own = seed, foreground, max(1, round(size / self.larger))
                self._found = settings, self.model.cluster(self.output, *own)
            return self._found[1]

    def explanation(self, settings: Settings, plane: Plane) -> Explanation:
        """Pictures of what is found with these settings; of a volume, in a plane."""
        found = self.found(settings)
        if not self.is_volume:
            return self.model.explanation(self.image, self.output, found)
        with self._lock:
            if self._volume is None or self._volume.found is not found:
                given = (self.image, self.output, found, self.spacing)
                new = self.model.volume_explanation(*given)
                if self._volume is not None:
                    new.rgb = self._volume.rgb
                self._volume = new
            return self._volume.at(plane)

    @property
    def size(self) -> str:
        """In words, x first."""
        unit = "voxels" if self.is_volume else "pixels"
        return f"{' × '.join(map(str, self.image.shape[-2::-1]))} {unit}"

    @property
    def note(self) -> str:
        """What to know of it before its result is believed; empty for nothing."""
        return "; ".join([*self.notes, *other_voxels(self.spacing, self.model)])


def study(model: Model, path: Path) -> Study:
    """Read an image, or a stack for a model of volumes, and run the network on it.

    OME-Zarr comes as the zip of its folder.

    Raises:
        UserError: no image, one too large for the page, or channels that are not the model's;
            the sentence names the file without its folder, which is none of the visitor's, and
            says of options that the page lacks what has them.
    """
    with unzipped(path) as held:
        try:
            return _seen(model, held)
        except UserError as error:
            raise UserError(_for_the_page(str(error).replace(str(held), path.name))) from error


def _for_the_page(sentence: str) -> str:
    named = dict.fromkeys(re.findall(r"--[a-z_]+", sentence))
    others = " and no ".join(option for option in named if option not in OPTIONS)
    if not others:
        return sentence
    return (
        f"{sentence}. This page has no {others}: the command line has, spatialembed predict; or "
        "store what is meant as a file of its own, such as by Fiji as TIFF"
    )


def _seen(model: Model, path: Path) -> Study:
    is_volume = model.spec.dims == 3
    shape = stack_size(path) if is_volume else image_size(path)
    millions, unit = math.prod(shape) / 1e6, "million voxels" if is_volume else "megapixels"
    if millions > MOST_MEGAPIXELS:  # before they fill the memory
        raise UserError(
            f"{path.name} has {millions:.0f} {unit}, this page takes up to {MOST_MEGAPIXELS}: cut "
            "it, or use spatialembed predict, which takes any size"
        )
    image, notes = (read_stack if is_volume else read_image)(path), list[str]()
    spacing = spacing_of(ImageFile(path, path.stem), model, notes, is_volume)
    sized = model.for_image(image, path.name, spacing)
    larger, output = sized.larger / model.larger, sized.raw(image, path.name)
    return Study(path.stem, image, output, sized, spacing, larger, tuple(notes))


def write_results(folder: Path, given: Study, found: Instances) -> tuple[Path, Path]:
    """Write the label map as TIFF and the measurements as CSV, named after the image.

    Raises:
        UserError: a file cannot be written.
    """
    labels, table = folder / f"{given.name}.tif", folder / f"{given.name}.csv"
    save_label_tiff(labels, found.label_map, given.spacing)
    write_measurements(table, found, given.image, given.spacing)
    return labels, table

"""An image that was given to the page, and what comes of it: kept free of the page's library.

The network runs once an image; every move of a threshold clusters its output again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialembed.data.images.reading import pixels_of, read_image
from spatialembed.errors import UserError
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.measurements import write_measurements
from spatialembed.inference.predictor import Model
from spatialembed.instances import Instances

MOST_MEGAPIXELS = 25
"""Of an image on the page; ``spatialembed predict`` takes larger ones."""


@dataclass(frozen=True, eq=False)
class Study:
    """An image and the network's output of it.

    Attributes:
        name: of the file, without folder and suffix.
        image: (H, W, C) pixels as stored.
        output: (2 + n_sigma + K, H, W) raw output.
        model: what it is of, at the size of the image's objects.
    """

    name: str
    image: np.ndarray
    output: np.ndarray
    model: Model


def study(model: Model, path: Path) -> Study:
    """Read an image and run the network on it.

    Raises:
        UserError: no image, one too large for the page, or channels that are not the model's;
            the sentence names the file without its folder, which is none of the visitor's.
    """
    try:
        megapixels = pixels_of(path) / 1e6  # before they fill the memory
        if megapixels > MOST_MEGAPIXELS:
            raise UserError(
                f"{path.name} has {megapixels:.0f} megapixels, this page takes up to "
                f"{MOST_MEGAPIXELS}: cut it, or use spatialembed predict, which takes any size"
            )
        image = read_image(path)
        sized = model.for_image(image, path.name)
        return Study(path.stem, image, sized.raw(image, path.name), sized)
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from error


def write_results(folder: Path, given: Study, found: Instances) -> tuple[Path, Path]:
    """Write the label map as TIFF and the measurements as CSV, named after the image.

    Raises:
        UserError: a file cannot be written.
    """
    labels, table = folder / f"{given.name}.tif", folder / f"{given.name}.csv"
    save_label_tiff(labels, found.label_map)
    write_measurements(table, found, given.image)
    return labels, table

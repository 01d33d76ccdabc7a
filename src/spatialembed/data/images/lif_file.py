"""Leica's LIF by liffile: the images of a file, with the names of the folders they are in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.data.images.scenes import Place, Scene, Stored
from spatialembed.data.images.series import Which

if TYPE_CHECKING:
    from liffile import LifImageABC


def lif_scenes(path: Path, asked: Which) -> list[Scene]:
    """The images of a LIF in their order; it has one resolution of each, and all channels."""
    from liffile import LifFile

    with LifFile(path) as file:
        return [_scene(path, number, image) for number, image in enumerate(file.images)]


def _scene(path: Path, number: int, image: LifImageABC) -> Scene:
    from liffile import LifFile

    def read(window: Place) -> np.ndarray:
        with LifFile(path) as file:
            return np.array(file.images[number].asarray()[window])

    wrong = ""
    try:
        dtype = image.dtype
    except ValueError:  # several types, or no channel
        dtype = np.dtype(np.uint8)
        wrong = (
            f"{path} holds no channels of one type in {image.path}; export what is to be read as "
            "OME-TIFF"
        )
    shape = tuple(image.shape)
    axes = "".join(image.dims).lower()
    steps = {
        axis.lower(): float(abs(at[-1] - at[0])) / (len(at) - 1) * 1e6  # of metres
        for axis, at in image.coords.items()
        if axis in "ZYX" and len(at) > 1
    }
    return Scene(image.path, axes, Stored(shape, shape, dtype, read), steps, wrong=wrong)

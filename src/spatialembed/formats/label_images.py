"""Label maps as images: TIFFs of any label, and 16-bit PNGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from spatialembed.data.images.spacing import one_an_axis
from spatialembed.errors import UserError
from spatialembed.files.sources import TAG
from spatialembed.files.writing import atomic_write
from spatialembed.formats.limits import image_size

IMAGEJ = 2**31
"""Bytes of labels up to which ImageJ's TIFFs are written; theirs end at 4 GiB."""


def save_label_tiff(
    path: str | Path,
    label_map: np.ndarray,
    spacing: tuple[float, ...] | None = None,
    highest: int = 0,
    source: str | None = None,
) -> None:
    """Write an integer label map (*spatial) as a TIFF of the smallest unsigned type that fits.

    Of three axes the first is called z.

    Args:
        path: the file.
        label_map: 0 background.
        spacing: micrometres between pixels along (y, x), or the voxels of a volume along
            (z, y, x), which the file then states: as ImageJ's, or of labels that ImageJ does not
            hold as OME-TIFF.
        highest: a label that the type holds in any case, for files that are to be of one type.
        source: what the file says of the image that the labels are of, in ASCII; see
            :func:`~spatialembed.files.sources.source_of`.

    Raises:
        UserError: the file cannot be written, or a spacing is not a number for each axis.
        ValueError: labels that are not integers, negative, or above 4,294,967,295.
    """
    label_map = np.asarray(label_map)
    labels = label_map.astype(np.result_type(_unsigned(label_map), np.min_scalar_type(highest)))
    with atomic_write(path) as temporary:
        said: dict[str, Any] = {"metadata": {"axes": "ZYX"} if labels.ndim == 3 else {}}
        if spacing is not None:
            said = _stating(labels, one_an_axis(spacing, labels.ndim))
        if source is not None:
            said["extratags"] = [(TAG, "s", 0, source, True)]
        # By itself tifffile takes a label map of three columns for colors.
        tifffile.imwrite(temporary, labels, photometric="minisblack", compression="zlib", **said)


def _stating(labels: np.ndarray, spacing: tuple[float, ...]) -> dict[str, Any]:
    """What tifffile takes for a file that states a spacing."""
    *z, y, x = spacing
    axes = "ZYX"[-labels.ndim :]
    if labels.itemsize <= 2 and labels.nbytes < IMAGEJ and 1 not in (y, x):
        said: dict[str, Any] = {"axes": axes, "unit": "um"} | ({"spacing": z[0]} if z else {})
        return {"imagej": True, "resolution": (1 / x, 1 / y), "metadata": said}
    steps = {f"PhysicalSize{axis}": step for axis, step in zip(axes, spacing, strict=True)}
    return {"ome": True, "metadata": {"axes": axes, **steps, **{f"{k}Unit": "µm" for k in steps}}}


def save_label_png(path: str | Path, label_map: np.ndarray) -> None:
    """Write an integer label map (H, W) as a 16-bit PNG.

    Raises:
        UserError: more than 65,535 labels, or the file cannot be written.
        ValueError: labels that are not integers or negative, or not an image.
    """
    image_size(label_map)
    if _unsigned(label_map).itemsize > 2:
        raise UserError(
            f"{path} cannot hold label {label_map.max()}: a PNG stops at 65535; write a TIFF"
        )
    with atomic_write(path) as temporary:
        Image.fromarray(np.asarray(label_map, np.uint16)).save(temporary, format="PNG")


def _unsigned(label_map: np.ndarray) -> np.dtype[Any]:
    """The smallest unsigned type that holds every label."""
    if label_map.dtype.kind not in "ui":
        raise ValueError(f"labels are integers, not {label_map.dtype}")
    lowest, highest = (label_map.min(), label_map.max()) if label_map.size else (0, 0)
    if lowest < 0 or highest > np.iinfo(np.uint32).max:
        raise ValueError(f"labels run from {lowest} to {highest}; a file holds 0 to 4294967295")
    return np.min_scalar_type(int(highest))

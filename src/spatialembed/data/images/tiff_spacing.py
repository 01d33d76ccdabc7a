"""The spacing of a TIFF's voxels, as ImageJ or OME-XML state it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from spatialembed.data.images.series import Series
from spatialembed.data.images.spacing import Spacing, stated
from spatialembed.data.images.tiff_file import TiffImage, image_of, ome_pixels, opened


def tiff_spacing(path: Path, series: Series) -> Spacing | None:
    """See :func:`spatialembed.data.images.reading.stack_spacing`."""
    with opened(path) as file:
        image = image_of(path, file, series, stack=True)
        if file.is_ome:
            found = _of_ome(image, file)
        else:
            found = _of_imagej(image, file) if file.is_imagej else None
        if found is None or image.orientation <= 4:
            return found
        z, y, x = found
        return z, x, y


def _of_imagej(image: TiffImage, file: tifffile.TiffFile) -> Spacing | None:
    said = file.imagej_metadata or {}
    tags, unit = image.pages.keyframe.tags, said.get("unit")
    sizes = [said.get("spacing"), *(_pixel(tags.get(f"{axis}Resolution")) for axis in "YX")]
    return stated(sizes, [said.get("zunit", unit), said.get("yunit", unit), unit])


def _pixel(resolution: Any) -> float | None:
    """Units that a pixel is long, of the tag of its pixels a unit.

    ImageJ's own, whatever else the file calls the unit of its resolution.
    """
    match getattr(resolution, "value", None):
        case (1, 1):  # as tifffile writes it where it was told nothing
            return None
        case (int(pixels), int(units)) if pixels:
            return units / pixels
    return None


def _of_ome(image: TiffImage, file: tifffile.TiffFile) -> Spacing | None:
    found = [_of_pixels(pixels) for pixels in ome_pixels(file)]
    if len(found) == len(file.series):  # else some are in other files
        numbers = [i for i, series in enumerate(file.series) if series is image.pages]
        return found[numbers[0]] if numbers else None
    return found[0] if len(set(found)) == 1 else None


def _of_pixels(pixels: ElementTree.Element) -> Spacing | None:
    names = [f"PhysicalSize{axis}" for axis in "ZYX"]
    return stated(
        [pixels.get(name) for name in names],
        [pixels.get(f"{name}Unit", "µm") for name in names],  # the schema's default
    )

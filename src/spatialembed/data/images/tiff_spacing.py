"""The spacing of a TIFF's voxels or pixels, by ImageJ, OME-XML or the tags of resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from spatialembed.data.images.series import Series
from spatialembed.data.images.spacing import stated
from spatialembed.data.images.tiff_file import TiffImage, image_of, ome_pixels, opened

_UNITS = {2: ("cm", 2.54), 3: ("cm", 1.0)}
"""Of the tags of resolution, inches and centimetres."""

_TIFFFILE = "1.11a"
"""The version of ImageJ as which tifffile writes."""

_FINEST_PRINT = 20.0
"""Micrometres. Printers, screens and scanners of documents have pixels larger than that: 72 to
1,200 an inch are 353 to 21 µm, which programs write that know nothing of the picture."""


def tiff_spacing(
    path: Path, series: Series, axes: str = "ZYX", stack: bool = True
) -> tuple[float, ...] | None:
    """Micrometres along these axes, "ZYX" or "YX", of a stack or an image.

    See :func:`~spatialembed.data.images.reading.stack_spacing` and
    :func:`~spatialembed.data.images.pixel_size.pixel_size`.
    """
    with opened(path) as file:
        return spacing_in(file, image_of(path, file, series, stack), axes)


def spacing_in(file: tifffile.TiffFile, image: TiffImage, axes: str) -> tuple[float, ...] | None:
    """The same of an image of a file that is open."""
    if file.is_ome:
        found = _of_ome(image, file, axes)
    elif file.is_imagej:
        found = _of_imagej(image, file, axes)
    elif axes == "YX":
        found = _of_aperio(image) if file.is_svs else _of_tags(image)
    else:
        found = None
    if found is None:
        return None
    *z, y, x = found
    y, x = y * image.apart[0], x * image.apart[1]  # the file speaks of the full resolution
    return (*z, y, x) if image.orientation <= 4 else (*z, x, y)


def _of_imagej(image: TiffImage, file: tifffile.TiffFile, axes: str) -> tuple[float, ...] | None:
    said = file.imagej_metadata or {}
    tags, unit = image.pages.keyframe.tags, said.get("unit")
    # ImageJ leaves out a spacing of 1, tifffile one that it was not told.
    left_out = None if said.get("ImageJ") == _TIFFFILE else 1.0
    sizes = {k: _pixel(tags.get(f"{k}Resolution")) for k in "YX"}
    sizes["Z"] = said.get("spacing", left_out)
    units = {"Z": said.get("zunit", unit), "Y": said.get("yunit", unit), "X": unit}
    return stated([sizes[axis] for axis in axes], [units[axis] for axis in axes])


def _of_aperio(image: TiffImage) -> tuple[float, ...] | None:
    """What the description of a slide says of its micrometres per pixel."""
    said = tifffile.tifffile.svs_description_metadata(image.full.keyframe.description)
    return stated([said.get("MPP")] * 2, ["um"] * 2)


def _of_tags(image: TiffImage) -> tuple[float, ...] | None:
    """What the tags of resolution alone say, where it is finer than paper."""
    tags = image.full.keyframe.tags
    unit, per = _UNITS.get(int(getattr(tags.get("ResolutionUnit"), "value", 2)), ("", 1.0))
    sizes = [_pixel(tags.get(f"{axis}Resolution")) for axis in "YX"]
    found = stated([None if size is None else size * per for size in sizes], [unit] * 2)
    return found if found is not None and max(found) < _FINEST_PRINT else None


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


def _of_ome(image: TiffImage, file: tifffile.TiffFile, axes: str) -> tuple[float, ...] | None:
    found = [_of_pixels(pixels, axes) for pixels in ome_pixels(file)]
    if len(found) == len(file.series):  # else some are in other files
        numbers = [i for i, series in enumerate(file.series) if series is image.full]
        return found[numbers[0]] if numbers else None
    return found[0] if len(set(found)) == 1 else None


def _of_pixels(pixels: ElementTree.Element, axes: str) -> tuple[float, ...] | None:
    names = [f"PhysicalSize{axis}" for axis in axes]
    return stated(
        [pixels.get(name) for name in names],
        [pixels.get(f"{name}Unit", "µm") for name in names],  # the schema's default
    )

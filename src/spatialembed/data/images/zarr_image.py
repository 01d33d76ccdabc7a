"""Images in zarr: a plain array, or the full-resolution level of an OME-Zarr group.

Axes are read from OME-Zarr's metadata or the array's dimension names; without either an array is
(H, W), (H, W, C) or (C, H, W), the channels being the shorter of first and last axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spatialembed.data.images.kinds import is_zarr
from spatialembed.data.images.reading_errors import told
from spatialembed.data.images.series import Header, Held, Series
from spatialembed.data.images.spacing import stated
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.images.zarr_series import ZarrImage, image_of, require_mask
from spatialembed.errors import UserError, missing_extra

TO_NAME_AXES = "store it as OME-Zarr, or in zarr 3 with dimension_names such as z, y, x"
"""What to do with an array that does not say what its axes are."""

_PLANE, _LETTERS = "yxc", tuple("tczyx")
_CHANNELS = dict.fromkeys(("channel", "channels", "band", "bands", "sample", "s"), "c")

_GUESSED = {2: "yx", 5: "tczyx"}
"""Axes of an array without names, by how many there are."""

_MOST_CHANNELS = 32
"""Of an array without names of axes; one with more planes is taken for a stack."""


def open_zarr(path: Path, indices: bool = False, series: Series = None) -> WindowedImage:
    """Open the image at ``path`` without reading a pixel.

    Args:
        path: the folder.
        indices: for masks: the codecs must keep every id.
        series: which of its images, from 0; None for the only one.

    Raises:
        UserError: zarr is not installed, there is no array, it is not a 2D image, or there are
            several and none is asked for.
    """
    node, image, _, _ = opened(path, series)
    with named(path):
        windowed = _plane_of(path, image)
        if indices:
            require_mask(path, node, image)
        return windowed


def zarr_header(path: Path, series: Series) -> Header:
    """What the metadata of a zarr say; raises as :func:`open_zarr`."""
    _, image, held, number = opened(path, series)
    with named(path):
        height, width = _plane_of(path, image).shape
        return Header((height, width), 1, held, number)


def zarr_pixel_size(path: Path, series: Series) -> tuple[float, ...] | None:
    """See :func:`spatialembed.data.images.pixel_size.pixel_size`."""
    image = opened(path, series)[1]
    with named(path):
        return steps_of(image, _axes(path, image.array, image.names), "yx")


def steps_of(image: ZarrImage, axes: str, wanted: str) -> tuple[float, ...] | None:
    """Micrometres to the next along the ``wanted`` ones of an image's axes, a letter each.

    None where OME-Zarr does not state all of them with a unit of length.
    """
    said = image.scales.get("axes") or []
    changes = [
        change
        for of in (image.level, image.scales)
        for change in of.get("coordinateTransformations") or []
    ]
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in said]
    if len(units) != len(axes):
        return None
    at = [axes.index(axis) for axis in wanted]
    return stated([_step(changes, i) for i in at], [units[i] for i in at])


def _step(changes: list[Mapping[str, Any]], axis: int) -> float | None:
    """From a pixel to the next by a level's transformations and its image's, in their order.

    None where no scale is among them, or something else than scales and translations is.
    """
    steps = [change["scale"][axis] for change in changes if "scale" in change]
    known = all(change.get("type") in ("identity", "scale", "translation") for change in changes)
    inside = sum(change.get("type") == "scale" for change in changes) == len(steps)
    return float(np.prod(steps)) if steps and known and inside else None


class Grid(NamedTuple):
    """What OME-Zarr says of the full resolution's y and x, of a volume z first."""

    axes: list[dict[str, str]]
    size: list[float]
    """Of a pixel."""
    place: list[float]
    """Of the first pixel."""


def grid_of(path: Path, series: Series = None, names: str = "yx") -> Grid:
    """Where pixels lie along axes of these names.

    Without such metadata axes have no units, pixels size 1, place 0.

    Raises:
        UserError: the metadata cannot be read.
    """
    grid = Grid(
        [{"name": name, "type": "space"} for name in names], [1.0] * len(names), [0.0] * len(names)
    )
    if not is_zarr(path):
        return grid
    image = opened(path, series)[1]
    with named(path):
        return _stated(grid, image.scales, image.level)


def _stated(plane: Grid, scales: dict[str, Any], level: dict[str, Any]) -> Grid:
    said = [axis for axis in scales.get("axes") or [] if isinstance(axis, dict)]
    names = [axis["name"] for axis in plane.axes]
    at = [i for name in names for i, axis in enumerate(said) if axis["name"] == name]
    if len(at) != len(names):
        return plane
    for d, i in enumerate(at):
        plane.axes[d] |= {key: said[i][key] for key in ("unit",) if key in said[i]}
        # The level's own come first, then the image's: in this order they add up.
        for of in (level, scales):
            for change in of.get("coordinateTransformations") or []:
                scale = float(change["scale"][i]) if "scale" in change else 1.0
                plane.size[d] *= scale
                plane.place[d] *= scale
                if "translation" in change:
                    plane.place[d] += float(change["translation"][i])
    return plane


def opened(path: Path, series: Series) -> tuple[Any, ZarrImage, list[Held], int]:
    """The zarr at ``path``, its image that is read, all that there are, and that one's number."""
    try:
        import zarr
    except ImportError as error:
        raise missing_extra(f"reading {path}", "large") from error
    with named(path):
        node = zarr.open(path, mode="r")
        return node, *image_of(path, node, series)


def named(path: Path) -> AbstractContextManager[None]:
    """What goes wrong in opening a zarr as one sentence."""
    remedy = "it must be an array, or an OME-Zarr group with multiscales"
    return told(f"{path} holds no image in zarr", remedy, named=True)


def _plane_of(path: Path, image: ZarrImage) -> WindowedImage:
    return windowed(path, image.array, _axes(path, image.array, image.names), _PLANE)


def windowed(path: Path, array: Any, axes: str, wanted: str) -> WindowedImage:
    """An array of these axes, a letter each, in the order of those ``wanted``, c the last."""
    kept = [axis for axis in axes if axis in wanted]
    order = [kept.index(axis) for axis in wanted if axis in kept]
    sides = wanted.removesuffix("c")

    def read(*window: slice) -> np.ndarray:
        of = dict(zip(sides, window, strict=True)) | {"c": slice(None)}
        part = np.asarray(array[tuple(of.get(axis, 0) for axis in axes)]).transpose(order)
        return part if "c" in kept else part[..., None]

    length = dict(zip(axes, map(int, array.shape), strict=True))
    chunk = dict(zip(axes, map(int, array.chunks), strict=True))
    return WindowedImage(
        path,
        tuple(length[axis] for axis in sides),
        length.get("c", 1),
        np.dtype(array.dtype).newbyteorder("="),
        tuple(chunk[axis] for axis in sides),
        read,
    )


def _axes(path: Path, array: Any, names: list[str] | None) -> str:
    """A letter an axis, by its name, or where axes have none by their lengths.

    They are y, x and perhaps c; others are of length 1.
    """
    shape, names = tuple(array.shape), names_of(array, names)
    if len(names) != len(shape):
        names = list(_GUESSED.get(len(shape), ""))
        if len(shape) == 3 and min(shape[0], shape[2]) <= _MOST_CHANNELS:
            names = list("yxc" if shape[2] < shape[0] else "cyx")
    axes = letters(names)
    if not are_axes(axes, shape, _PLANE):
        raise UserError(
            f"{path} is a stack of shape {shape} (axes {', '.join(names) or 'unknown'}), not a 2D "
            "image; store its planes as separate arrays, or, if they are planes in z, "
            f"{'' if names else f'{TO_NAME_AXES}, and '}predict it with --stitch or by a model of "
            "volumes, which learns from label folders"
        )
    return axes


def names_of(array: Any, names: list[str] | None) -> list[str]:
    """Names of axes by OME-Zarr, else those of the array itself, which may be fewer or none."""
    if names is None:
        dimensions = getattr(array.metadata, "dimension_names", None) or ()
        names = [str(name).lower() for name in dimensions if name is not None]
    return names


def letters(names: list[str]) -> str:
    """One of "tczyx" for the name of an axis; "?" for another name."""
    found = (_CHANNELS.get(name, name if name in _LETTERS else "?") for name in names)
    return "".join(found)


def are_axes(axes: str, shape: tuple[int, ...], wanted: str) -> bool:
    """Whether an array has each wanted axis once, c at most, and all others of length 1."""
    others = any(n > 1 for axis, n in zip(axes, shape, strict=False) if axis not in wanted)
    once = all(axes.count(axis) == 1 for axis in wanted if axis != "c")
    return once and not others and axes.count("c") <= 1

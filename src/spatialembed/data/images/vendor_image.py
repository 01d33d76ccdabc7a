"""Images and stacks in microscopes' own files: which scene is read, and what of it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spatialembed.data.images.czi_file import czi_scenes
from spatialembed.data.images.kinds import MOST_PIXELS, is_vendor, require_few_voxels
from spatialembed.data.images.lif_file import lif_scenes
from spatialembed.data.images.nd2_file import nd2_scenes
from spatialembed.data.images.reading_errors import AN_IMAGE, readable, too_large
from spatialembed.data.images.scenes import Scene
from spatialembed.data.images.series import Header, Held, Series, Which, take, which
from spatialembed.data.images.spacing import stated
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.images.zarr_image import are_axes, windowed
from spatialembed.errors import UserError, missing_extra


class _Reader(NamedTuple):
    """What reads a kind of file: a library of the extra ``vendor``, and with it its scenes."""

    library: str
    scenes: Callable[[Path, Which], list[Scene]]
    scales: bool = False
    """Whether it has lower resolutions."""
    before: tuple[int, int] = (4, 0)
    """Python's version from which on the extra does not have the library."""


_READERS = {
    ".czi": _Reader("pylibCZIrw", czi_scenes, scales=True, before=(3, 14)),
    ".lif": _Reader("liffile", lif_scenes),
    ".nd2": _Reader("nd2", nd2_scenes),
}

_IMAGE, _STACK = "yxc", "zyxc"

_MOST_LEVELS = 16
"""Of a CZI, of which any is read: 65,536 pixels become one."""


def read_vendor(path: Path, series: Series) -> np.ndarray:
    """Pixels (H, W, C); see :func:`spatialembed.data.images.reading.read_image`."""
    image = open_vendor(path, series)
    if math.prod(image.shape) > MOST_PIXELS:
        raise too_large(path)
    return image.whole()


def read_vendor_stack(path: Path, series: Series) -> np.ndarray:
    """Voxels (Z, H, W, C); see :func:`spatialembed.data.images.reading.read_stack`."""
    stack = open_vendor(path, series, wanted=_STACK)
    require_few_voxels(path, (*stack.shape, stack.channels))
    return stack.whole()


def open_vendor(path: Path, series: Series, wanted: str = _IMAGE) -> WindowedImage:
    """An image, or a stack, to be read by windows.

    Raises:
        UserError: the library is not installed, the file cannot be read, holds several scenes and
            none is asked for, has no such level, or is a stack where an image is wanted or the
            other way round.
    """
    scene = _taken(path, series)[0]
    return windowed(path, scene.array, _axes(path, scene, wanted), wanted)


def open_vendor_stack(path: Path, series: Series) -> WindowedImage:
    """The same of a stack (Z, H, W, C)."""
    return open_vendor(path, series, wanted=_STACK)


def vendor_header(path: Path, series: Series) -> Header:
    """What the file says of the image that is read; raises as :func:`open_vendor`."""
    scene, held, place = _taken(path, series)
    image = windowed(path, scene.array, _axes(path, scene, _IMAGE), _IMAGE)
    return Header((image.shape[0], image.shape[1]), 1, held, place, image.channels)


def vendor_stack_size(path: Path, series: Series) -> tuple[int, int, int]:
    """See :func:`spatialembed.data.images.reading.stack_size`."""
    depth, height, width = open_vendor_stack(path, series).shape
    return depth, height, width


def vendor_steps(
    path: Path, series: Series, axes: str = "zyx", stack: bool = True
) -> tuple[float, ...] | None:
    """Micrometres along axes of a stack or an image; raises as :func:`open_vendor`.

    See :func:`~spatialembed.data.images.reading.stack_spacing` and
    :func:`~spatialembed.data.images.pixel_size.pixel_size`.
    """
    scene = _taken(path, series)[0]
    _axes(path, scene, _STACK if stack else _IMAGE)
    return stated([scene.steps.get(axis) for axis in axes], ["um"] * len(axes))


def vendor_remark(path: Path, series: Series = None) -> str:
    """What to know of what a microscope's file holds before it is believed.

    A sentence without its subject, the file; empty of nearly all, and of other files.

    Raises:
        UserError: as :func:`open_vendor`, but for what an image or a stack is.
    """
    return _taken(path, series)[0].remark() if is_vendor(path) else ""


def _taken(path: Path, series: Series) -> tuple[Scene, list[Held], int]:
    """The scene that is read, what the file holds, and its place there."""
    reader = _READERS[path.suffix.lower()]
    if find_spec(reader.library) is None:
        if reader.before <= sys.version_info:
            raise UserError(
                f"{path} is read by {reader.library}, which there is none of for this Python yet; "
                "use an earlier one, or save the file as OME-TIFF"
            )
        raise missing_extra(f"reading {path}", "vendor")
    asked = which(series)
    asked.require_level(path, _MOST_LEVELS if reader.scales else 1)
    with readable(path):
        scenes = reader.scenes(path, asked)
    held = [
        Held(
            *(one.length("y"), one.length("x"), one.name),
            own=True,
            number=one.number,
            wrong=one.wrong,
        )
        for one in scenes
    ]
    place = take(path, held, asked.series)
    return scenes[place], held, place


def _axes(path: Path, scene: Scene, wanted: str) -> str:
    """A letter an axis: those ``wanted``, c for channels or colors, others of length 1."""
    axes, shape = scene.axes, scene.array.shape
    if "s" in axes and scene.length("c") == 1:
        axes = axes.replace("c", "?").replace("s", "c")
    planes = scene.length("z")
    if are_axes(axes, shape, wanted) and (wanted == _IMAGE or planes > 1):
        return axes
    names = ", ".join(a for a, n in zip(scene.axes, shape, strict=True) if n > 1)
    long = tuple(n for n in shape if n > 1)
    what = f"{path} is of shape {long} (axes {names})"
    if scene.length("t") > 1:
        remedy = "save the times as separate files, such as by Fiji as TIFF"
    elif are_axes(axes, shape, _STACK) and planes > 1:
        remedy = "its planes in z are predicted with --stitch, or by a model of volumes"
    elif are_axes(axes, shape, _IMAGE):
        remedy = AN_IMAGE
    else:
        remedy = "save what is to be read of it as TIFF, such as by Fiji"
    kind = "a 2D image" if wanted == _IMAGE else "a stack of planes in z"
    raise UserError(f"{what}, not {kind}; {remedy}")

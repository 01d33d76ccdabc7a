"""Images in zarr: a plain array, or the full-resolution level of an OME-Zarr group.

Axes are read from OME-Zarr's metadata or the array's dimension names; without either an array is
(H, W), (H, W, C) or (C, H, W), the channels being the shorter of first and last axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, missing_extra
from .windowed import WindowedImage

SUFFIX = ".zarr"
_PLANE = "yxc"


def is_zarr(path: Path) -> bool:
    """Whether ``path`` is named as a folder of zarr, such as x.zarr or x.ome.zarr."""
    return path.suffix.lower() == SUFFIX


def open_zarr(path: Path) -> WindowedImage:
    """Open the image at ``path`` without reading a pixel.

    Raises:
        UserError: zarr is not installed, there is no array, or it is not a 2D image.
    """
    try:
        import zarr
    except ImportError as error:
        raise missing_extra(f"reading {path}", "large") from error
    try:
        node = zarr.open(path, mode="r")
        if not isinstance(node, zarr.Array) and "bioformats2raw.layout" in _ome(node):
            node = node["0"]
        array, names = (node, None) if isinstance(node, zarr.Array) else _full_level(node)
    except Exception as error:  # stores, formats and metadata each have errors of their own
        raise UserError(
            f"{path} holds no image in zarr ({type(error).__name__}: {_first_line(error)}); it "
            "must be an array, or an OME-Zarr group with multiscales"
        ) from error
    return _windowed(path, array, _axes(path, array, names))


def _windowed(path: Path, array: Any, axes: str) -> WindowedImage:
    """The image of an array with one letter an axis: y, x, perhaps c; others are of length 1."""
    kept = [axis for axis in axes if axis in _PLANE]
    order = [kept.index(axis) for axis in _PLANE if axis in kept]

    def read(rows: slice, columns: slice) -> np.ndarray:
        wanted = {"y": rows, "x": columns, "c": slice(None)}
        part = np.asarray(array[tuple(wanted.get(axis, 0) for axis in axes)]).transpose(order)
        return part if part.ndim == 3 else part[..., None]

    length = dict(zip(axes, map(int, array.shape), strict=True))
    chunk = dict(zip(axes, map(int, array.chunks), strict=True))
    return WindowedImage(
        path,
        (length["y"], length["x"]),
        length.get("c", 1),
        np.dtype(array.dtype).newbyteorder("="),
        (chunk["y"], chunk["x"]),
        read,
    )


def _ome(group: Any) -> dict[str, Any]:
    """OME-Zarr's metadata, which from version 0.5 on lies below "ome"."""
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


def _full_level(group: Any) -> tuple[Any, list[str] | None]:
    """Array of the first, which is the full, resolution, and the names of its axes."""
    scales = _ome(group)["multiscales"][0]
    axes = scales.get("axes")
    names = axes and [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    return group[scales["datasets"][0]["path"]], names


def _axes(path: Path, array: Any, names: list[str] | None) -> str:
    shape = tuple(array.shape)
    if names is None:
        dimensions = getattr(array.metadata, "dimension_names", None) or ()
        names = [str(name).lower() for name in dimensions]
    if set(names) - set("tczyx") or len(set(names)) != len(shape):
        last = len(shape) == 3 and shape[2] < shape[0]
        names = list({2: "yx", 3: "yxc" if last else "cyx", 5: "tczyx"}.get(len(shape), ""))
    stacked = any(n > 1 for axis, n in zip(names, shape, strict=False) if axis not in _PLANE)
    if stacked or not {"y", "x"} <= set(names):
        raise UserError(
            f"{path} is a stack of shape {shape} (axes {''.join(names).upper() or 'unknown'}), not "
            "a 2D image; store its planes as separate arrays"
        )
    return "".join(names)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]

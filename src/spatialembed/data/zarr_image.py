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
        node = _image_of(path)
        array, names = (node, None) if isinstance(node, zarr.Array) else _full_level(node)
    except Exception as error:  # stores, formats and metadata each have errors of their own
        raise UserError(
            f"{path} holds no image in zarr ({type(error).__name__}: {_first_line(error)}); it "
            "must be an array, or an OME-Zarr group with multiscales"
        ) from error
    return _windowed(path, array, _axes(path, array, names))


def plane_of(path: Path) -> tuple[list[dict[str, str]], list[float], list[float]]:
    """What OME-Zarr says of the full resolution's y and x: axes, pixel sizes, place of the first.

    An image without such metadata has axes "y" and "x" without units, pixels of size 1 and begins
    at 0.
    """
    axes = [{"name": name, "type": "space"} for name in ("y", "x")]
    size, place = [1.0, 1.0], [0.0, 0.0]
    if not is_zarr(path):
        return axes, size, place
    import zarr

    node = _image_of(path)
    if isinstance(node, zarr.Array):
        return axes, size, place
    scales = _ome(node)["multiscales"][0]
    named = [axis for axis in scales.get("axes") or [] if isinstance(axis, dict)]
    at = [i for name in ("y", "x") for i, axis in enumerate(named) if axis["name"] == name]
    if len(at) != 2:
        return axes, size, place
    axes = [axis | {"unit": named[i]["unit"]} if "unit" in named[i] else axis
            for axis, i in zip(axes, at, strict=True)]  # fmt: skip
    level = scales["datasets"][0].get("coordinateTransformations") or []
    for change in [*level, *(scales.get("coordinateTransformations") or [])]:
        for d, i in enumerate(at):
            if "scale" in change:
                size[d] *= float(change["scale"][i])
                place[d] *= float(change["scale"][i])
            if "translation" in change:
                place[d] += float(change["translation"][i])
    return axes, size, place


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


def _image_of(path: Path) -> Any:
    """The array or OME-Zarr group of the first image at ``path``."""
    import zarr

    node: Any = zarr.open(path, mode="r")
    if not isinstance(node, zarr.Array) and "bioformats2raw.layout" in _ome(node):
        return node["0"]
    return node


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

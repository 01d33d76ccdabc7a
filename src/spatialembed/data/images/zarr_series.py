"""The images that a zarr holds: an array, or OME-Zarr's images, positions of a plate among them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from spatialembed.data.images.reading_errors import lossy
from spatialembed.data.images.series import Held, Series, take, which
from spatialembed.errors import UserError

_LOOKED_AT = 16
"""Images whose sizes are looked at where none is asked for; a plate has hundreds."""

_LOSSY = re.compile(
    r"jpe?g|webp|jxl|avif|heif|lerc|zfp|sperr|sz3|jetraw|quanti|bitround|fixedscaleoffset"
)
"""In the names of codecs that change values, or may."""


class ZarrImage(NamedTuple):
    """One resolution of one image.

    Attributes:
        array: of zarr.
        names: of its axes; None where no OME-Zarr says them.
        scales: OME-Zarr's description of the image; empty for a plain array.
        level: that of this resolution; empty for a plain array.
    """

    array: Any
    names: list[str] | None
    scales: dict[str, Any]
    level: dict[str, Any]

    def size(self) -> tuple[int, int]:
        """Height and width, as far as the axes are named."""
        names = self.names or ["y", "x"]
        lengths = dict(zip(names, map(int, self.array.shape), strict=False))
        return lengths.get("y", 0), lengths.get("x", 0)


class _Place(NamedTuple):
    """Where an image is: the path of its group, and its number among that group's multiscales."""

    path: str
    number: int


def image_of(path: Path, node: Any, series: Series) -> tuple[ZarrImage, list[Held], int]:
    """The image of an open zarr that is read, all that there are, and its number among them.

    Raises:
        UserError: several images and none is asked for, or no such level.
    """
    places, asked = _places(node), which(series)
    looked = asked.series is None and len(places) <= _LOOKED_AT
    held = [
        Held(*(_levels(node, place)[0].size() if looked else (0, 0)), _name(place, i))
        for i, place in enumerate(places)
    ]
    number = take(path, held, asked.series)
    levels = _levels(node, places[number])
    asked.require_level(path, len(levels))
    return levels[asked.level], held, number


def ome_of(group: Any) -> dict[str, Any]:
    """OME-Zarr's metadata, which from version 0.5 on lies below "ome"."""
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


def require_mask(path: Path, node: Any, image: ZarrImage) -> None:
    """Refuse what is no label mask.

    Raises:
        UserError: a codec that changes ids, or an image that has its label masks inside.
    """
    metadata = image.array.metadata.to_dict()
    codecs = [metadata.get(key) for key in ("codecs", "compressor", "filters")]
    if found := _LOSSY.search(json.dumps(codecs, default=repr).lower()):
        raise lossy(path, found[0])
    if image.scales and "labels" in node and "image-label" not in ome_of(node):
        names = ", ".join(ome_of(node["labels"]).get("labels", [])) or "labels"
        raise UserError(
            f"{path} is an image with label masks inside ({names}), not a label mask; copy the "
            f"folder {path / 'labels'}/NAME to {path}"
        )


def _places(node: Any) -> list[_Place]:
    """The places of all images below a node, in the order of the file's own numbers."""
    if not hasattr(node, "group_keys"):  # an array
        return [_Place("", 0)]
    return [
        _Place(path, i)
        for path in _paths(node)
        for i in range(len(ome_of(node[path] if path else node)["multiscales"]))
    ]


def _paths(node: Any) -> list[str]:
    """Groups of images below a group: fields of a plate's wells, series of bioformats2raw."""
    ome = ome_of(node)
    if "plate" in ome:
        wells = [well["path"] for well in ome["plate"]["wells"]]
        return [f"{well}/{field}" for well in wells for field in _paths(node[well])]
    if "well" in ome:
        return [field["path"] for field in ome["well"]["images"]]
    if "bioformats2raw.layout" in ome and "multiscales" not in ome:
        listed = ome_of(node["OME"]).get("series") if "OME" in node else None
        return listed or sorted((key for key in node.group_keys() if key.isdigit()), key=int)
    return [""]


def _levels(node: Any, place: _Place) -> list[ZarrImage]:
    """Of one image, the full resolution first."""
    group = node[place.path] if place.path else node
    if not hasattr(group, "group_keys"):
        return [ZarrImage(group, None, {}, {})]
    scales = ome_of(group)["multiscales"][place.number]
    axes = scales.get("axes")
    names = axes and [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    levels = [(group[level["path"]], level) for level in scales["datasets"]]
    levels.sort(key=lambda one: -math.prod(one[0].shape))
    return [ZarrImage(array, names, scales, level) for array, level in levels]


def _name(place: _Place, number: int) -> str:
    return "" if place.path in ("", str(number)) else place.path

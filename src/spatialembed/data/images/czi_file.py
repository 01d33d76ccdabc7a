"""Zeiss' CZI by pylibCZIrw: scenes, mosaics put together, lower resolutions.

Not by bioio-czi, which is under the GPL and of files of two scenes gives the first as the only one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from spatialembed.data.images.scenes import Place, Scene, Stored
from spatialembed.errors import UserError

_TYPES = {
    "Gray8": (np.uint8, 1),
    "Gray16": (np.uint16, 1),
    "Gray32Float": (np.float32, 1),
    "Bgr24": (np.uint8, 3),
    "Bgr48": (np.uint16, 3),
    "Bgr96Float": (np.float32, 3),
}
"""What is read of libCZI's pixel types, and how many samples each has."""

_PLANES = "TZC"

LEAST = 8
"""Pixels along the shorter side of an image at the lowest resolution that is given of it."""


class _Block(NamedTuple):
    """A piece of a plane, as the file lists it."""

    at: dict[str, int]
    kind: str
    size: tuple[int, int]


def czi_scenes(path: Path, level: int) -> list[Scene]:
    """The scenes of a CZI, at 1/2**level of their resolution.

    Raises:
        UserError: a scene lacks planes or parts of them, which would be read as 0, has pixels of
            several types or of one that is not read, or no such level.
    """
    from pylibCZIrw.czi import open_czi

    blocks: dict[int, list[_Block]] = defaultdict(list)

    def take(_: int, info: Any) -> bool:
        at = info.coordinate.to_dict()
        size = info.physicalSize.h, info.physicalSize.w
        blocks[at.pop("S", 0)].append(_Block(at, info.pixelType.name, size))
        return True

    with open_czi(str(path)) as file:
        file.enumerate_subblocks_subset(take, only_layer0=True)
        places = file.scenes_bounding_rectangle_no_pyramid
        whole = {0: file.total_bounding_rectangle_no_pyramid}
        about = ElementTree.fromstring(file.raw_metadata or "<ImageDocument/>")
    steps, names = _steps(about, level), _names(about)
    return [
        _scene(path, number if places else None, tuple(place), blocks[number], level)._replace(
            name=names.get(number, ""), steps=steps
        )
        for number, place in sorted((places or whole).items())
    ]


def _scene(
    path: Path, number: int | None, place: tuple[int, ...], blocks: list[_Block], level: int
) -> Scene:
    kinds = {block.kind for block in blocks}
    if len(kinds) != 1 or not kinds <= _TYPES.keys():
        raise UserError(
            f"{path} has pixels of the kinds {', '.join(sorted(kinds)) or 'none'}, not of one of "
            f"{', '.join(_TYPES)}; export what is to be read as OME-TIFF"
        )
    dtype, samples = _TYPES[kinds.pop()]
    letters = sorted({axis for block in blocks for axis in block.at} - set(_PLANES))
    axes = [*letters, *_PLANES]
    held = [sorted({block.at.get(axis, 0) for block in blocks}) for axis in axes]
    pieces = Counter(tuple(block.at.get(axis, 0) for axis in axes) for block in blocks)
    planes = set(product(*(range(some[0], some[-1] + 1) for some in held)))
    most = max(pieces.values())
    if missing := sum(pieces[plane] < most for plane in planes):
        raise UserError(
            f"{path} lacks {missing} of the {len(planes)} planes"
            f"{'' if number is None else f' of scene {number}'}, or parts of them, which would be "
            "read as 0; export what is to be read as OME-TIFF"
        )
    x, y, width, height = place
    by = 2**level
    if level and min(width, height) < LEAST * by:
        raise UserError(
            f"{path} has no level {level} of {LEAST} pixels or more: the full one, level 0, is "
            f"{width} x {height}; choose another --level"
        )
    size = max(height // by, 1), max(width // by, 1)
    colors = (3,) if samples == 3 else ()
    shape = (*map(len, held), *size, *colors)

    def read(window: Place) -> np.ndarray:
        from pylibCZIrw.czi import open_czi

        rows, columns = (slice(*_slice(window[len(axes) + i]).indices(size[i])) for i in (0, 1))
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        roi = (x + columns.start * by, y + rows.start * by, wide * by, tall * by)
        chosen = [_chosen(some, part) for some, part in zip(held, window, strict=False)]
        pages = list(product(*chosen))
        found = np.empty((len(pages), tall, wide, samples), dtype)
        with open_czi(str(path)) as file:
            for page, at in zip(found, pages, strict=True):
                plane = dict(zip(axes, at, strict=True))
                page[:] = file.read(roi, plane, number, 1 / by)
        found = found.reshape(*map(len, chosen), *found.shape[1:])
        found = found[..., ::-1] if samples == 3 else found[..., 0]  # libCZI has blue first
        return found[tuple(0 if isinstance(part, int) else slice(None) for part in window)]

    tile = (min(blocks[0].size[i], size[i]) for i in (0, 1))
    chunks = (*(1 for _ in axes), *tile, *colors)
    letters_of = "".join(axes).lower() + "yx" + "s" * len(colors)
    return Scene("", letters_of, Stored(shape, chunks, np.dtype(dtype), read), {})


def _slice(part: slice | int) -> slice:
    return slice(part, part + 1) if isinstance(part, int) else part


def _chosen(some: list[int], part: slice | int) -> list[int]:
    return some[_slice(part)]


def _steps(about: ElementTree.Element, level: int) -> Mapping[str, float]:
    """Micrometres; the file has metres."""
    found = {}
    for one in about.iterfind(".//Scaling/Items/Distance"):
        axis, value = one.get("Id", "").lower(), one.findtext("Value")
        if value:
            found[axis] = float(value) * 1e6 * (1 if axis == "z" else 2**level)
    return found


def _names(about: ElementTree.Element) -> dict[int, str]:
    scenes = about.findall("./Metadata/Information/Image/Dimensions/S/Scenes/Scene")
    return {int(one.get("Index", i)): one.get("Name", "") for i, one in enumerate(scenes)}

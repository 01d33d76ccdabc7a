"""Zeiss' CZI by pylibCZIrw: scenes, mosaics put together, lower resolutions.

Not by bioio-czi, which is under the GPL and of files of two scenes gives the first as the only one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from spatialembed.data.images.mosaic_gaps import Box, bare_pixels
from spatialembed.data.images.scenes import Place, Scene, Stored
from spatialembed.data.images.series import Which
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
    """A piece of a plane, as the file lists it; its left, upper, right and lower end there."""

    at: dict[str, int]
    kind: str
    size: tuple[int, int]
    ends: Box


def czi_scenes(path: Path, asked: Which) -> list[Scene]:
    """The scenes of a CZI, at 1/2**level of their resolution; channels not asked for are 0.

    Wrong is one that lacks planes or parts of them, which would be read as 0, has pixels of several
    types in the channels asked for or of one that is not read, or no such level.

    Raises:
        UserError: there is none.
    """
    from pylibCZIrw.czi import open_czi

    blocks: dict[int, list[_Block]] = defaultdict(list)
    named = set()

    def take(_: int, info: Any) -> bool:
        at = info.coordinate.to_dict()
        named.add("S" in at)
        size, rect = (info.physicalSize.h, info.physicalSize.w), info.logicalRect
        ends = rect.x, rect.y, rect.x + rect.w, rect.y + rect.h
        blocks[at.pop("S", 0)].append(_Block(at, info.pixelType.name, size, ends))
        return True

    with open_czi(str(path)) as file:
        file.enumerate_subblocks_subset(take, only_layer0=True)
        about = ElementTree.fromstring(file.raw_metadata or "<ImageDocument/>")
    if not blocks:
        raise UserError(f"{path} holds no image: replace it")
    steps, names = _steps(about, asked.level), _names(about)
    channels = sorted({block.at.get("C", 0) for some in blocks.values() for block in some})
    return [
        _scene(path, number if True in named else None, blocks[number], channels, asked)._replace(
            name=names.get(number, ""), steps=steps, number=number
        )
        for number in sorted(blocks)
    ]


def _scene(
    path: Path, number: int | None, blocks: list[_Block], channels: list[int], asked: Which
) -> Scene:
    # Not pylibCZIrw's own rectangles: of scenes 0 and 2 it has none, for want of scene 1.
    lefts, tops, rights, bottoms = zip(*(block.ends for block in blocks), strict=True)
    x, y = min(lefts), min(tops)
    width, height = max(rights) - x, max(bottoms) - y
    letters = sorted({axis for block in blocks for axis in block.at} - set(_PLANES))
    axes = [*letters, *_PLANES]
    held = [sorted({block.at.get(axis, 0) for block in blocks}) for axis in axes]
    held[-1] = channels  # of the file: a scene that lacked the first would number the others anew
    asked_for = asked.channels or range(len(channels))
    wanted = {channels[k] for k in asked_for if 0 <= k < len(channels)}
    try:
        _require_planes(path, number, blocks, axes, held)
        some = [block for block in blocks if block.at.get("C", 0) in wanted]
        kind = _kind(path, some or blocks[:1], channels)  # none where no such channel is there
        by = _shrunk(path, (width, height), asked.level)
    except UserError as error:
        return _unreadable((height, width), error)
    dtype, samples = _TYPES[kind]
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
        found = np.zeros((len(pages), tall, wide, samples), dtype)
        with open_czi(str(path)) as file:
            for page, at in zip(found, pages, strict=True):
                plane = dict(zip(axes, at, strict=True))
                # of the kind that the scene has: pylibCZIrw knows that of a file's first alone
                if plane["C"] in wanted:
                    page[:] = file.read(roi, plane, number, 1 / by, pixel_type=kind)
        found = found.reshape(*map(len, chosen), *found.shape[1:])
        found = found[..., ::-1] if samples == 3 else found[..., 0]  # libCZI has blue first
        return found[tuple(0 if isinstance(part, int) else slice(None) for part in window)]

    tile = (min(blocks[0].size[i], size[i]) for i in (0, 1))
    chunks = (*(1 for _ in axes), *tile, *colors)
    letters_of = "".join(axes).lower() + "yx" + "s" * len(colors)
    stored = Stored(shape, chunks, np.dtype(dtype), read)
    remark = partial(_about_gaps, blocks, axes, (x, y, x + width, y + height))
    return Scene("", letters_of, stored, {}, remark=remark)


def _unreadable(size: tuple[int, int], error: UserError) -> Scene:
    def read(_: Place) -> np.ndarray:
        raise error

    return Scene("", "yx", Stored(size, size, np.dtype(np.uint8), read), {}, wrong=str(error))


def _kind(path: Path, blocks: Sequence[_Block], channels: Sequence[int]) -> str:
    """The type of the pixels of blocks; ``channels`` are those of the file in their order."""
    kinds: dict[int, set[str]] = defaultdict(set)
    for block in blocks:
        kinds[channels.index(block.at.get("C", 0))].add(block.kind)
    held: set[str] = set().union(*kinds.values())
    if other := sorted(held - _TYPES.keys()):
        raise UserError(
            f"{path} has pixels of the type {', '.join(other)}, and {', '.join(_TYPES)} are read; "
            "export what is to be read as OME-TIFF"
        )
    if len(held) > 1:
        each = ", ".join(f"{k} is {' and '.join(sorted(of))}" for k, of in sorted(kinds.items()))
        alone = all(len(of) == 1 for of in kinds.values())
        some = "take those of one type by `predict --channel`, or " * alone
        raise UserError(
            f"{path} has pixels of several types (channel {each}), and those of an image are of "
            f"one; {some}export them as OME-TIFF of one type"
        )
    return held.pop()


def _about_gaps(blocks: Sequence[_Block], axes: Sequence[str], image: Box) -> str:
    """A sentence without its subject where tiles leave out half a tile or more of an image."""
    planes: dict[tuple[int, ...], set[Box]] = defaultdict(set)
    for block in blocks:
        planes[tuple(block.at.get(axis, 0) for axis in axes)].add(block.ends)
    bare = max(bare_pixels(tiles, image) for tiles in set(map(frozenset, planes.values())))
    # Less is what rows and columns of tiles that are not quite straight leave at the borders.
    if 2 * bare < np.median([height * width for _, _, (height, width), _ in blocks]):
        return ""
    share = bare / ((image[2] - image[0]) * (image[3] - image[1]))
    return (
        f"{share:.2%} of its pixels lie in none of its tiles and are read as 0: look at what is "
        "found there, or export a part without such as OME-TIFF"
    )


def _require_planes(
    path: Path, number: int | None, blocks: list[_Block], axes: list[str], held: list[list[int]]
) -> None:
    pieces = Counter(tuple(block.at.get(axis, 0) for axis in axes) for block in blocks)
    planes = set(product(*(range(some[0], some[-1] + 1) for some in held)))
    most = max(pieces.values())
    if missing := sum(pieces[plane] < most for plane in planes):
        raise UserError(
            f"{path} lacks {missing} of the {len(planes)} planes"
            f"{'' if number is None else f' of scene {number}'}, or parts of them, which would be "
            "read as 0; export what is to be read as OME-TIFF"
        )


def _shrunk(path: Path, size: tuple[int, int], level: int) -> int:
    """How many pixels become one at a level, along each side."""
    by = 1 << level
    if level and min(size) < LEAST * by:
        raise UserError(
            f"{path} has no level {level} of {LEAST} pixels or more: the full one, level 0, is "
            f"{size[0]} x {size[1]}; choose another --level"
        )
    return by


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

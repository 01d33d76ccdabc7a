"""A folder whose files are the planes of one stack, in the order of the numbers in their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spatialembed.data.images.kinds import SUFFIXES, require_few_voxels
from spatialembed.data.images.numbered import in_order, numbers_of
from spatialembed.errors import UserError
from spatialembed.files.names import is_hidden

_CALLED = "folder of planes", "planes", "z001"


def planes_of(folder: Path) -> list[Path]:
    """The images of the planes, in the order of the one number in which their names differ.

    Raises:
        UserError: something else than images, one plane or none, names without such a number, or
            numbers that have gaps or repeat.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not is_hidden(entry.name))
    for name in names:
        if os.path.splitext(name)[1].lower() not in SUFFIXES or not (folder / name).is_file():
            raise UserError(
                f"{folder} is no folder of planes: {name} is no image file; keep the planes of a "
                "stack alone in a folder"
            )
    if len(names) < 2:
        raise UserError(
            f"{folder} is no folder of planes: it holds {len(names)} image files, and a stack has "
            "two planes or more"
        )
    return [folder / name for name in in_order(folder, names, *_CALLED)]


def first_number(folder: Path) -> int:
    """That of the first plane; raises as :func:`planes_of`."""
    names = [path.name for path in planes_of(folder)]
    return numbers_of(folder, names, *_CALLED)[0]


def read_planes(folder: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Planes as one array (Z, ...), each as ``read`` gives it.

    Raises:
        UserError: as :func:`planes_of`, a plane that cannot be read, or planes of several sizes,
            types or channels.
    """
    planes = planes_of(folder)
    first = read(planes[0])
    require_few_voxels(folder, (len(planes), *first.shape))
    stack = np.empty((len(planes), *first.shape), first.dtype)
    for z, path in enumerate(planes):
        plane = read(path) if z else first
        if plane.shape != first.shape or plane.dtype != first.dtype:
            raise UserError(
                f"{folder} is no folder of planes: {planes[0].name} is {_kind(first)}, "
                f"{path.name} is {_kind(plane)}; make all planes of one size, type and channels"
            )
        stack[z] = plane
    return stack


def planes_size(folder: Path, size: Callable[[Path], tuple[int, int]]) -> tuple[int, int, int]:
    """Planes, height and width by the headers of all planes, of which ``size`` gives those.

    Raises:
        UserError: as :func:`read_planes`, but for what only decoding shows.
    """
    planes = planes_of(folder)
    sizes = [size(path) for path in planes]
    for path, (height, width) in zip(planes, sizes, strict=True):
        if (height, width) != sizes[0]:
            raise UserError(
                f"{folder} is no folder of planes: {planes[0].name} is {sizes[0][1]}x"
                f"{sizes[0][0]} pixels, {path.name} is {width}x{height}; make all planes of one "
                "size"
            )
    return len(planes), *sizes[0]


def _kind(plane: np.ndarray) -> str:
    size = f"{plane.shape[1]}x{plane.shape[0]} pixels of {plane.dtype}"
    return size if plane.ndim == 2 else f"{size} in {plane.shape[2]} channels"

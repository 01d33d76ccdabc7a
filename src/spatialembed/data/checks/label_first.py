"""Which images of many without masks to label first: few that stand for all.

Images are told apart by what a network would have to cope with: how bright, how colored and how
fine or coarse they are. The first is the most typical one; each further one is that which brings
most images near to one that is chosen, so that a lone odd image is not taken for its oddness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

from spatialembed.data.data_set import Problem
from spatialembed.data.images.kinds import SUFFIXES, ZARR
from spatialembed.data.images.reading import is_stack, open_windowed, read_image, read_stack
from spatialembed.data.images.stack_windows import open_windowed_stack
from spatialembed.data.images.windows import in_memory
from spatialembed.data.layouts import cityscapes, coco, label_folder
from spatialembed.data.layouts.unread_files import in_results, in_words, refuse_results, walk
from spatialembed.errors import UserError
from spatialembed.models.normalization import Normalization

MOST = 2000
"""Images that are looked at, evenly spaced where there are more: each is compared with all."""

SIDE = 1024
"""Pixels along a side that are looked at, of the middle."""

LEVELS = np.linspace(0.05, 0.95, 10)
"""Quantiles of an image's brightness."""

OCTAVES = 6
"""Detail of 1 to 32 pixels."""


class Typical(NamedTuple):
    """An image to label, and how many of those looked at are nearest to it, itself included."""

    file: Path
    stands_for: int


def label_first(
    folder: str | Path, count: int, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Typical], list[Problem]]:
    """Images below a folder that stand for all of them, in the order in which to label them.

    Volumes where the first is a stack; of each three planes are looked at.

    Args:
        folder: of images without masks, with its subfolders.
        count: how many to name; all, where there are no more.
        progress: called with images read and images in all.

    Returns:
        The images, and what is wrong with others, which are left out.

    Raises:
        UserError: no such folder, one of images with masks, no image that can be
            read, or a count below 1.
    """
    folder = Path(folder)
    if count < 1:
        raise UserError(f"--label_first is a number of images from 1 up, not {count}")
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one of images without masks")
    if any(layout.recognize(folder) for layout in (cityscapes, coco, label_folder)):
        raise UserError(f"{folder} holds masks too; give the folder of the images to choose from")
    found, others = walk(folder, suffixes=(*SUFFIXES, ZARR))
    is_result = in_results(folder)
    found = [file for file in found if not is_result(file.parent)]
    refuse_results(found)
    files = [found[i] for i in range(0, len(found), -(-len(found) // MOST) or 1)]
    middle = _middle_planes if files and is_stack(files[0]) else _middle
    problems = [Problem(folder, in_words(others), warning=True)] if others else []
    seen: dict[Path, list[np.ndarray]] = {}
    for done, file in enumerate(files, 1):
        try:
            seen[file] = features(middle(file))
        except UserError as error:
            problems.append(Problem(file, str(error).removeprefix(f"{file} ")))
        if progress is not None:
            progress(done, len(files))
    if not seen:
        raise UserError(f"{problems[0]}" if problems else f"{folder} has no image; give another")
    distance = distances(list(seen.values()))
    chosen = representatives(distance, count)
    stands_for = np.bincount(distance[:, chosen].argmin(1), minlength=len(chosen))
    readable = list(seen)
    named = [Typical(readable[k], int(n)) for k, n in zip(chosen, stands_for, strict=True)]
    return named, problems


def _middle(file: Path) -> np.ndarray:
    image = open_windowed(file, least=SIDE**2) or in_memory(str(file), read_image(file))
    return image.read(*_center(image.shape))


def _middle_planes(file: Path) -> np.ndarray:
    """Of the planes at a quarter, a half and three quarters, one below the other."""
    volume = open_windowed_stack(file) or in_memory(str(file), read_stack(file))
    depth, *sides = volume.shape
    planes = (depth * quarters // 4 for quarters in (1, 2, 3))
    return np.concatenate([volume.read(slice(z, z + 1), *_center(sides))[0] for z in planes])


def _center(sides: Sequence[int]) -> list[slice]:
    starts = [max(0, (length - SIDE) // 2) for length in sides]
    return [slice(start, start + SIDE) for start in starts]


def features(pixels: np.ndarray) -> list[np.ndarray]:
    """Brightness (10,), color (6,) and detail (6,) of (H, W, C) pixels as stored, C up to 3."""
    flat = pixels[..., :3]
    scaled = Normalization("percentile")(flat.reshape(len(flat), -1, 1)).reshape(flat.shape)
    grey = scaled.mean(2)
    color = np.zeros((2, 3), np.float32)
    difference = scaled - grey[..., None]
    color[:, : flat.shape[2]] = difference.mean((0, 1)), difference.std((0, 1))
    return [np.quantile(grey, LEVELS), color.ravel(), _octaves(grey)]


def _octaves(grey: np.ndarray) -> np.ndarray:
    """Logarithm of how much detail of 1, 2, 4, ... pixels there is."""
    detail = []
    for _ in range(OCTAVES):
        smooth = ndimage.gaussian_filter(grey, 1.0)
        detail.append(np.log((grey - smooth).std() + 1e-3))
        grey = smooth[::2, ::2]
    return np.array(detail)


def distances(seen: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """(N, N) between the :func:`features` of N images; each kind of them weighs the same."""
    columns = []
    for kind in map(np.stack, zip(*seen, strict=True)):
        spread = kind.std(0)
        spread[spread < 1e-6] = 1  # such as the color of grey images
        columns.append((kind - kind.mean(0)) / (spread * np.sqrt(kind.shape[1])))
    every = np.concatenate(columns, 1)
    return np.asarray(cdist(every, every))


def representatives(distance: np.ndarray, count: int) -> list[int]:
    """Rows of an (N, N) matrix, greedily those that leave the least distance of all to the nearest.

    The first is the medoid.
    """
    nearest, chosen = np.full(len(distance), np.inf), list[int]()
    while len(chosen) < min(count, len(distance)):
        left = np.minimum(distance, nearest).sum(1)
        left[chosen] = np.inf
        chosen.append(int(left.argmin()))
        nearest = np.minimum(nearest, distance[chosen[-1]])
    return chosen

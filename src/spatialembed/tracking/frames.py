"""The frames of a sequence: label maps in numbered TIFFs, or times of one TIFF."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from spatialembed.data.images.kinds import image_names, is_tiff
from spatialembed.data.images.label_values import as_mask
from spatialembed.data.images.numbered import in_order
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import (
    image_size,
    is_stack,
    read_mask,
    read_stack_mask,
    stack_size,
    stack_spacing,
)
from spatialembed.data.images.tiff_file import TiffImage, opened, require_all_pages
from spatialembed.data.images.tiff_spacing import spacing_in
from spatialembed.errors import UserError

_SO = (
    "give a folder of label TIFFs, one a frame, as `spatialembed predict` writes them, or a TIFF "
    "whose axes are time, y and x"
)


@dataclass(frozen=True, eq=False)
class Frames(Sequence[np.ndarray]):
    """Label maps that are read when they are asked for.

    Attributes:
        names: of the frames, without suffix.
        places: where each is, in words that an error starts with.
        read: gives a frame by its number.
        spacing: micrometres between pixels along y and x, or the voxels of stacks along z, y and
            x, where files say it.
    """

    names: list[str]
    places: list[str]
    read: Callable[[int], np.ndarray]
    spacing: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, frame: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, frame: slice) -> list[np.ndarray]: ...
    def __getitem__(self, frame: int | slice) -> np.ndarray | list[np.ndarray]:
        """A frame (H, W) or (Z, H, W), int32 or int64, 0 background."""
        if isinstance(frame, slice):
            return [self[t] for t in range(*frame.indices(len(self)))]
        return self.read(range(len(self))[frame])


def open_frames(source: str | Path) -> Frames:
    """The frames of a sequence, in the order of the numbers in their names.

    Of a folder its TIFFs are taken, and nothing below it. What is in them shows when they are read:
    :func:`~spatialembed.tracking.link.track` refuses images, and masks of a class, by their names.

    Args:
        source: a folder of label TIFFs, one a frame, or one TIFF with its axes: TYX or TZYX.

    Raises:
        UserError: no such folder or file, fewer than two frames, names that are not numbered
            without gaps, or frames of several sizes or spacings.
    """
    path = Path(source)
    frames = _of_folder(path) if path.is_dir() else _of_one_file(path)
    if len(frames) < 2:
        raise UserError(f"{path} holds one frame, and tracks need two or more; {_SO}")
    return frames


def _of_folder(folder: Path) -> Frames:
    there = (folder / name for name in image_names(folder))
    names = [file.name for file in there if file.is_file() and is_tiff(file)]
    if not names:
        raise UserError(f"{folder} holds no TIFF; {_SO}")
    _require_one_target(folder, names)
    names = in_order(folder, names, "sequence of frames", "frames", "t001") if names[1:] else names
    files = [folder / name for name in names]
    stacks = is_stack(files[0])
    _require_one_size(files, stack_size if stacks else image_size)
    read = read_stack_mask if stacks else read_mask
    spacing = _one_spacing(files, stack_spacing if stacks else pixel_size)
    names = [file.stem for file in files]
    return Frames(names, [*map(str, files)], lambda frame: read(files[frame]), spacing)


def _require_one_target(folder: Path, names: Sequence[str]) -> None:
    """Refuse what predict writes of several targets: the same frames with the name of each."""
    frames = defaultdict(set)
    for name in names:
        frame, _, target = Path(name).stem.rpartition("_")
        frames[target].add(frame)
    first = min(frames)
    alike = all(each == frames[first] for each in frames.values())
    if len(frames) > 1 < len(frames[first]) and alike and all(map(str.isalpha, frames)):
        raise UserError(
            f"{folder} holds results of several targets, {', '.join(sorted(frames))}; put those of "
            f"one (*_{first}.tif) into a folder of its own"
        )


def _one_spacing(
    files: Sequence[Path], stated: Callable[[Path], tuple[float, ...] | None]
) -> tuple[float, ...] | None:
    first = stated(files[0])
    for file in files[1:]:
        other = stated(file)
        if other != first and not (first and other and np.allclose(other, first, rtol=0.01)):
            one, another = (
                f"{' x '.join(f'{step:.4g}' for step in each)} µm" if each else "no size in µm"
                for each in (first, other)
            )
            raise UserError(
                f"{file} states {another} of its pixels, {files[0].name} {one}; frames are alike: "
                "store them so that all state the same, or none"
            )
    return first


def _require_one_size(files: Sequence[Path], size: Callable[[Path], tuple[int, ...]]) -> None:
    first = size(files[0])
    for file in files[1:]:
        if (other := size(file)) != first:
            one, another = ("x".join(map(str, reversed(each))) for each in (first, other))
            raise UserError(
                f"{file} has {another} pixels, {files[0].name} {one}; frames are of one size: give "
                "each sequence a folder of its own"
            )


def _of_one_file(path: Path) -> Frames:
    if not path.is_file():
        if "*" in path.name:
            raise UserError(f"{path} is a pattern; give the folder, {path.parent}")
        raise UserError(f"{path} does not exist; {_SO}")
    if not is_tiff(path):
        raise UserError(f"{path} is no TIFF; {_SO}")
    with opened(path) as file:
        require_all_pages(path, file)
        series = file.series[0]
        axes = "".join(a for a, n in zip(series.axes, series.shape, strict=True) if n > 1)
        if len(file.series) > 1 or axes not in ("TYX", "TZYX"):
            raise UserError(
                f"{path} has the axes {axes} in {len(file.series)} series, and its frames are read "
                "where they are TYX or TZYX; store them so (tifffile: metadata={'axes': 'TYX'}; "
                "ImageJ: as a hyperstack with frames), or each as a numbered file"
            )
        image = TiffImage(path, series, axes, [], 0, series, (1.0, 1.0))
        image.require_whole()
        spacing = spacing_in(file, image, axes[1:])
        times: Any = series.asarray()
    times = times.reshape([n for n in times.shape if n > 1])
    digits = len(str(len(times) - 1))
    names = [f"{path.stem}_{t:0{digits}d}" for t in range(len(times))]
    unstated = axes == "TYX" and spacing is not None and set(spacing) == {1.0}  # see pixel_size
    places = [f"{path}: frame {name}" for name in names]
    return Frames(names, places, partial(_time, path, times), None if unstated else spacing)


def _time(path: Path, times: np.ndarray, frame: int) -> np.ndarray:
    return as_mask(path, times[frame][..., None])

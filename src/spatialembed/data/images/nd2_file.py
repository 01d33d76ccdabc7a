"""Nikon's ND2 by nd2: the positions of a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.data.images.scenes import Place, Scene, Stored
from spatialembed.data.images.series import Which
from spatialembed.errors import UserError

if TYPE_CHECKING:
    from nd2 import ND2File

_POSITION = "P"
_IN_A_FRAME = "CYXS"


def nd2_scenes(path: Path, asked: Which) -> list[Scene]:
    """The positions of an ND2 in their order; it has one resolution of each, and all channels.

    Raises:
        UserError: planes are missing, which would be read as 0.
    """
    from nd2 import ND2File

    with ND2File(path) as file:
        _require_planes(path, file)
        sizes, dtype, steps = dict(file.sizes), np.dtype(file.dtype), _steps(file)
        # Which the library does not say: nis2pyr found it in files that NIS-Elements shows.
        blue_first = file.is_rgb and not file.is_legacy
    at = list(sizes).index(_POSITION) if _POSITION in sizes else None
    positions = sizes.pop(_POSITION, 1)
    axes, shape = "".join(sizes).lower(), tuple(sizes.values())
    one_frame = _IN_A_FRAME.lower()
    chunks = tuple(n if axis in one_frame else 1 for axis, n in zip(axes, shape, strict=True))

    def scene(position: int) -> Scene:
        def read(place: Place) -> np.ndarray:
            whole = place if at is None else (*place[:at], position, *place[at:])
            with ND2File(path) as file:
                found = np.asarray(file.to_dask(wrapper=False)[whole])
            return found[..., ::-1] if blue_first else found

        name = "" if at is None else f"position {position}"
        return Scene(name, axes, Stored(shape, chunks, dtype, read), steps)

    return [scene(position) for position in range(positions)]


def _require_planes(path: Path, file: ND2File) -> None:
    """Refuse a file that lacks planes, of which the library gives zeros."""
    count = math.prod(n for axis, n in file.sizes.items() if axis not in _IN_A_FRAME)
    listed = getattr(file._rdr, "chunkmap", {})  # nowhere else is it said
    stored = sum(name.startswith(b"ImageDataSeq|") for name in listed)
    if listed and stored < count:
        raise UserError(
            f"{path} lacks {count - stored} of its {count} planes, which would be read as 0; save "
            "what is to be read of it as TIFF, such as by Fiji"
        )


def _steps(file: ND2File) -> dict[str, float]:
    """Micrometres, of what is calibrated."""
    step = file.voxel_size()
    channels = None if file.is_legacy else file.metadata.channels
    volume = channels[0].volume if channels else None
    if volume is not None and not volume.axesCalibrated[0]:
        return {}
    return {"z": step.z, "y": step.y, "x": step.x}

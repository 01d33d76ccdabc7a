"""Nikon's ND2 by nd2: the positions of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialembed.data.images.scenes import Place, Scene, Stored

_POSITION = "P"


def nd2_scenes(path: Path, level: int) -> list[Scene]:
    """The positions of an ND2 in their order; it has one resolution of each, ``level`` 0."""
    from nd2 import ND2File

    with ND2File(path) as file:
        sizes, dtype, step = dict(file.sizes), np.dtype(file.dtype), file.voxel_size()
    positions = sizes.pop(_POSITION, 1)
    axes, shape = "".join(sizes).lower(), tuple(sizes.values())
    chunks = tuple(n if axis in "yxsc" else 1 for axis, n in zip(axes, shape, strict=True))
    steps = {"z": step.z, "y": step.y, "x": step.x}

    def scene(position: int) -> Scene:
        def read(window: Place) -> np.ndarray:
            with ND2File(path) as file:
                array = file.to_dask(wrapper=False)
                if positions > 1:
                    array = array.take(position, list(file.sizes).index(_POSITION))
                return np.asarray(array[window])

        name = f"position {position}" if positions > 1 else ""
        return Scene(name, axes, Stored(shape, chunks, dtype, read), steps)

    return [scene(position) for position in range(positions)]

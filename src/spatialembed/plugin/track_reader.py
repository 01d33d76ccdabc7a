"""Opens a folder of tracks in napari: its frames as labels, and the tracks with their divisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.tracking.frames import open_frames
from spatialembed.tracking.results import TABLE

Layers = list[tuple[np.ndarray, dict[str, Any], str]]
"""What napari takes: values, how to show them, the kind of layer."""


def reader_of(path: str | list[str]) -> Callable[[str], Layers] | None:
    """What reads a folder that ``spatialembed track`` wrote; None for anything else."""
    return read_tracks if isinstance(path, str) and (Path(path) / TABLE).is_file() else None


def read_tracks(path: str) -> Layers:
    """A layer of labels (T, H, W) or (T, Z, H, W), and one of tracks where there are any.

    Raises:
        UserError: as :func:`~spatialembed.tracking.frames.open_frames`.
    """
    folder = Path(path)
    frames = open_frames(folder)
    place = {"scale": (1.0, *frames.spacing)} if frames.spacing else {}
    labels = np.stack([frames[t] for t in range(len(frames))])
    layers: Layers = [(labels, {"name": f"{folder.name} labels", **place}, "labels")]
    rows = np.genfromtxt(folder / TABLE, delimiter=",", names=True, ndmin=1)
    if len(rows):
        there = rows.dtype.names or ()
        axes = [name for name in ("id", "frame", "z", "y", "x") if name in there]
        data = np.stack([rows[name] for name in axes], axis=1)
        born = rows["parent"] > 0
        pairs = zip(rows["id"][born].astype(int), rows["parent"][born].astype(int), strict=True)
        graph = {int(child): [int(mother)] for child, mother in pairs}
        data = data[np.lexsort((data[:, 1], data[:, 0]))]
        layers.append((data, {"name": f"{folder.name} tracks", "graph": graph, **place}, "tracks"))
    return layers

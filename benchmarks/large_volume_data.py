"""A generated volume of any size, as OME-Zarr, with its truth: crowded nuclei, block by block.

Nuclei are set into a block whose planes go on where they end, so that blocks side by side make one
tissue: nuclei cross every border of blocks, and none is cut but by the volume's own. Each block is
photographed with noise of its own. What was written stays, and the same call goes on from there.
"""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from scipy import ndimage

from spatialembed.demo.microscopy.microscope import photograph
from spatialembed.demo.microscopy.nuclei import random_direction, random_nucleus
from spatialembed.demo.microscopy.tissue import smooth_noise
from spatialembed.demo.volumes import DENSITY, SPACING

PERIOD = 250
"""Pixels after which the tissue begins anew, along y and x; tiles do so after multiples of 32."""

CHUNK = 50
BLUR = 16
"""Pixels that the microscope mixes, and more."""

STEPS = np.array(SPACING)


def write_volume(folder: Path, shape: tuple[int, int, int], seed: int = 0) -> None:
    """Write ``image.zarr`` (uint16) and ``truth.zarr`` (uint32, 0 background) of a shape."""
    arrays = [
        _array(folder / name, shape, kind) for name, kind in (("image", "u2"), ("truth", "u4"))
    ]
    repeats = [-(-n // PERIOD) for n in shape[1:]]
    blocks = [(row, column) for row in range(repeats[0]) for column in range(repeats[1])]
    done = int(arrays[1].attrs.get("blocks", 0))
    if done == len(blocks):
        return
    labels, light, centers = tissue(shape[0], np.random.default_rng(seed))
    around = np.pad(light, [(0, 0), (BLUR, BLUR), (BLUR, BLUR)], mode="wrap")
    for number, (row, column) in enumerate(blocks[done:], done):
        place = tuple(
            slice(k * PERIOD, min((k + 1) * PERIOD, n))
            for k, n in zip((row, column), shape[1:], strict=True)
        )
        part = tuple(slice(0, side.stop - side.start) for side in place)
        seen = photograph(around, STEPS, np.random.default_rng((seed, number)))
        arrays[0][:, *place] = seen[:, BLUR:-BLUR, BLUR:-BLUR][:, *part]
        arrays[1][:, *place] = ids(labels, centers, row, column, max(repeats))[:, *part]
        arrays[1].attrs["blocks"] = number + 1


def tissue(depth: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block (Z, P, P) that fits its own other side: labels 1..N, light, and (N, 3) centers.

    As :func:`spatialembed.demo.microscopy.tissue.grow_tissue`; centers in voxels, y and x from 0 to
    :data:`PERIOD`.
    """
    shape = (depth, PERIOD, PERIOD)
    labels, light = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    size, placed, failures = np.array(shape) * STEPS, [], 0
    count = round(DENSITY * float(size.prod()))
    while len(placed) < count and failures < 100:
        nucleus = random_nucleus(rng)
        center = rng.uniform(0, size)
        if len(placed) > count / 5:  # against one that is there
            other, at = placed[rng.integers(len(placed))]
            way = random_direction(rng)
            center = at + (other.radius(way) + nucleus.radius(way)) * rng.uniform(0.82, 0.98) * way
        center[1:] %= size[1:]
        box, level = nucleus.sample(center, STEPS)
        z, y, x = (np.arange(side.start, side.stop) for side in box)
        there = (z >= 0) & (z < depth)
        place = np.ix_(z[there], y % PERIOD, x % PERIOD)
        whole, level = (level < 1).sum(), level[there]
        free = (level < 1) & (labels[place] == 0)
        failures += 1
        if free.sum() < 0.6 * whole or ndimage.label(free)[1] != 1:
            continue
        failures = 0
        placed.append((nucleus, center))
        shine = rng.lognormal(-0.05, 0.32) * (1 - 0.6 * level**6)
        labels[place] = np.where(free, len(placed), labels[place])
        light[place] = np.where(free, shine, light[place])
    light *= np.exp(0.3 * smooth_noise(shape, 0.22 / STEPS, rng))
    return labels, light, np.array([center for _, center in placed]) / STEPS


def ids(labels: np.ndarray, centers: np.ndarray, row: int, column: int, most: int) -> np.ndarray:
    """Labels of a block as ids of the whole volume: each nucleus has that of its center's block."""
    wide = most + 2  # a nucleus reaches a block further, on either side
    block = np.zeros(labels.shape, np.int64)
    for axis, first in ((1, row), (2, column)):
        at = np.concatenate([[0], centers[:, axis]])[labels]
        line = np.arange(PERIOD).reshape([PERIOD if a == axis else 1 for a in range(3)])
        own = np.rint((line - at) / PERIOD).astype(np.int64) + first + 1
        block = block * wide + own
    return np.where(labels, block * len(centers) + labels, 0)


def _array(path: Path, shape: tuple[int, int, int], dtype: str) -> Any:
    """The array of an OME-Zarr of one level, made if it is not there."""
    path = path.with_name(f"{path.name}.zarr")
    if not (path / "0" / "zarr.json").is_file():
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
        changes = [{"type": "scale", "scale": list(SPACING)}]
        datasets = [{"path": "0", "coordinateTransformations": changes}]
        said = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
        group = zarr.create_group(path, attributes={"ome": said}, overwrite=True)
        chunks = tuple(min(CHUNK, n) for n in shape)
        group.create_array("0", shape=shape, chunks=chunks, dtype=dtype)
    array = zarr.open_group(path)["0"]
    if array.shape != shape:
        raise SystemExit(f"{path} has the shape {array.shape}; take another --out")
    return array

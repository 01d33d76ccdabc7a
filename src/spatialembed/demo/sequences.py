"""Generated sequences of cells that wander, push each other, divide and touch, with exact ids."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy import ndimage


@dataclass
class _Cell:
    """A cell as it is in a frame: an ellipse of an area and a length over its width."""

    id: int
    place: np.ndarray
    """(2,) y and x in pixels."""
    course: np.ndarray
    """(2,) pixels that it goes in a frame."""
    turn: float
    length: float
    age: float
    """0 at birth, 1 at division."""


@dataclass(frozen=True)
class CellSequence:
    """Frames, their truth, and who came of whom.

    Attributes:
        images: (T, side, side) uint16, bright cells on a dark ground.
        label_maps: (T, side, side) uint16, 0 on the ground; an id stays with its cell.
        parents: of an id the id of the cell that divided; of first cells nothing.
    """

    images: np.ndarray
    label_maps: np.ndarray
    parents: dict[int, int]


def draw_sequence(
    seed: int = 0,
    frames: int = 20,
    side: int = 192,
    cells: int = 20,
    step: float = 0.15,
    cycle: float = 25.0,
    diameter: float = 18.0,
    longest: float = 1.8,
) -> CellSequence:
    """Draw cells over time; they may leave at the border, and none is missing in between.

    Args:
        seed: the same draws the same sequence.
        frames: how many, T.
        side: of a frame, in pixels.
        cells: in the first frame.
        step: mean way of a cell from frame to frame, in its diameters.
        cycle: frames from a cell's birth to its division; infinite for none.
        diameter: of a cell at half of its life, in pixels.
        longest: length over width that a cell has at most, from 1 up.
    """
    rng = np.random.default_rng(seed)
    ids = count(1)
    way = step * diameter
    living = [_born(next(ids), rng, rng.uniform(0, side, 2), way, longest) for _ in range(cells)]
    parents: dict[int, int] = {}
    images, label_maps = [], []
    for _ in range(8):  # find room before the film begins
        _push(living, diameter)
    for _ in range(frames):
        label_map = _painted(living, side, diameter)
        label_maps.append(label_map)
        images.append(_photographed(label_map, rng))
        living = [cell for cell in living if ((cell.place > 0) & (cell.place < side)).all()]
        for cell in list(living):
            _move(cell, rng, way, longest)
            cell.age += rng.uniform(0.5, 1.5) / cycle
            if cell.age >= 1:
                living.remove(cell)
                daughters = _divided(cell, (next(ids), next(ids)), diameter)
                parents |= {daughter.id: cell.id for daughter in daughters}
                living += daughters
        _push(living, diameter)
    return CellSequence(np.stack(images), np.stack(label_maps), parents)


def _born(
    number: int, rng: np.random.Generator, place: np.ndarray, way: float, longest: float
) -> _Cell:
    turn, ahead = rng.uniform(0, 2 * np.pi, 2)
    course = way * np.array([np.sin(ahead), np.cos(ahead)])
    return _Cell(number, place, course, turn, rng.uniform(1.0, longest), rng.uniform(0, 0.9))


def _move(cell: _Cell, rng: np.random.Generator, way: float, longest: float) -> None:
    """Half of a cell's course is what it was, half is new."""
    cell.course = 0.5 * cell.course + rng.normal(0, 0.6 * way, 2)
    cell.place = cell.place + cell.course
    cell.turn += rng.normal(0, 0.15)
    cell.length = float(np.clip(cell.length * rng.normal(1, 0.06), 1.0, longest))


def _divided(cell: _Cell, ids: tuple[int, int], diameter: float) -> list[_Cell]:
    """Two of half its area, side by side along its length."""
    apart = 0.35 * diameter * np.array([np.sin(cell.turn), np.cos(cell.turn)])
    return [
        _Cell(
            number, cell.place + side, cell.course.copy(), cell.turn, max(1.0, cell.length / 2), 0.0
        )
        for number, side in zip(ids, (apart, -apart), strict=True)
    ]


def _size(cell: _Cell, diameter: float) -> float:
    """Diameter of the circle of its area, in pixels: twice the area at the end of a life."""
    return diameter * float(np.sqrt(2 / 3 * (1 + cell.age)))


def _push(living: list[_Cell], diameter: float) -> None:
    """Cells that lie on each other give way, half of what is missing at a time."""
    for a in range(len(living)):
        for b in range(a):
            way = living[a].place - living[b].place
            far = float(np.hypot(*way)) or 1.0
            room = 0.45 * (_size(living[a], diameter) + _size(living[b], diameter))
            if far < room:
                shift = (room - far) / 4 * way / far
                living[a].place = living[a].place + shift
                living[b].place = living[b].place - shift


def _painted(living: list[_Cell], side: int, diameter: float) -> np.ndarray:
    """(side, side) uint16: a pixel in several ellipses is of the one it lies deepest in."""
    y, x = np.indices((side, side))
    depth, label_map = np.ones((side, side)), np.zeros((side, side), np.uint16)
    for cell in living:
        radius = _size(cell, diameter) / 2
        dy, dx = y - cell.place[0], x - cell.place[1]
        along = dx * np.cos(cell.turn) + dy * np.sin(cell.turn)
        across = dy * np.cos(cell.turn) - dx * np.sin(cell.turn)
        level = along**2 / cell.length + across**2 * cell.length
        nearer = level / radius**2 < depth
        depth[nearer], label_map[nearer] = (level / radius**2)[nearer], cell.id
    return label_map


def _photographed(label_map: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(side, side) uint16: bright inside, darker where cells meet, blurred and noisy."""
    inside = ndimage.minimum_filter(label_map, 3) == ndimage.maximum_filter(label_map, 3)
    light = 300 + 4000.0 * ((label_map > 0) & inside)
    light = ndimage.gaussian_filter(light, 1.0) + rng.normal(0, 60, label_map.shape)
    return np.asarray(light.clip(0, 65535), np.uint16)

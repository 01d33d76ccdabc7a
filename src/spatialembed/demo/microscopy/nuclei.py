"""Nuclei in micrometres: bumpy ellipsoids turned any way, sampled on a grid in boxes of their own.

Axes are z, y, x throughout. A nucleus is the set of points at which its level is below 1; the
level is 0 at the center and near 1 at the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

DIAMETERS = (2.6, 3.7)
"""Least and greatest mean diameter of a nucleus in micrometres; an axis is up to 22% off it."""

_BUMPS, _HEIGHT = 5, 0.04
"""Waves on a surface, and the standard deviation of the height of each in radii."""

Window = tuple[slice, ...]


@dataclass(frozen=True)
class Nucleus:
    """A body about a center that is given when it is sampled.

    Attributes:
        axes: (3, 3), its three half axes in micrometres as columns.
        waves: (K, 3), wave vectors of its bumps, in the unit ball that it is a picture of.
        phases, heights: (K,) of each wave.
    """

    axes: np.ndarray
    waves: np.ndarray
    phases: np.ndarray
    heights: np.ndarray

    @property
    def to_ball(self) -> np.ndarray:
        """(3, 3), takes micrometres from the center into the unit ball."""
        return np.asarray((self.axes / (self.axes**2).sum(0)).T)

    def radius(self, direction: np.ndarray) -> float:
        """Micrometres from the center to the surface, its bumps aside, along a unit vector."""
        return float(1 / np.linalg.norm((self.to_ball * direction).sum(1)))

    def sample(self, center: np.ndarray, spacing: np.ndarray) -> tuple[Window, np.ndarray]:
        """Its level at the pixels of the box that holds it.

        Args:
            center: (3,) in micrometres from pixel (0, 0, 0).
            spacing: (3,) micrometres from pixel to pixel.

        Returns:
            The box, which may reach past the grid on any side, and the levels in it, float64.
        """
        reach = np.linalg.norm(self.axes, axis=1) * (1 + np.abs(self.heights).sum())
        first = np.ceil((center - reach) / spacing).astype(int)
        stop = np.floor((center + reach) / spacing).astype(int) + 1
        places = [np.arange(*ends) for ends in zip(first, stop, strict=True)]
        away = np.ix_(*(p * s - c for p, s, c in zip(places, spacing, center, strict=True)))
        ball = _along(self.to_ball, away)
        waves = _along((self.waves[:, :, None] * self.to_ball).sum(1), away)
        bumps = np.cos(waves + self.phases[:, None, None, None])
        surface = 1 + (self.heights[:, None, None, None] * bumps).sum(0)
        box = tuple(slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))
        return box, np.sqrt((ball**2).sum(0)) / surface


def random_nucleus(rng: np.random.Generator) -> Nucleus:
    """Draw a nucleus of any size in DIAMETERS, turned any way."""
    radii = rng.uniform(*DIAMETERS) / 2 * np.exp(rng.uniform(-0.2, 0.2, 3))
    turn = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    waves = rng.normal(size=(_BUMPS, 3))
    waves *= rng.uniform(2.0, 4.5, (_BUMPS, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, _BUMPS)
    return Nucleus(turn * radii, waves, phases, rng.normal(0, _HEIGHT, _BUMPS))


def random_direction(rng: np.random.Generator) -> np.ndarray:
    """(3,), a unit vector, any of them as likely as any other."""
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _along(rows: np.ndarray, away: tuple[np.ndarray, ...]) -> np.ndarray:
    """Products (K, Z, Y, X) of rows (K, 3) with all points of an open grid, term by term: BLAS
    may round otherwise with another number of threads, and volumes are to be the same."""
    z, y, x = (rows[:, axis, None, None, None] for axis in range(3))
    return np.asarray(z * away[0] + y * away[1] + x * away[2])

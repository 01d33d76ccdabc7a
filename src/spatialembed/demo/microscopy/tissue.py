"""Nuclei set side by side: which voxel is whose, and how brightly it shines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spatialembed.demo.microscopy.nuclei import (
    Nucleus,
    Window,
    random_direction,
    random_nucleus,
)

_CLUSTERS = 0.2
"""Share of nuclei that begin a cluster; those that follow are set against one that is there."""

_KEPT = 0.6
"""Share of a nucleus that the border and earlier nuclei must leave of it."""

_FAILURES = 100
"""Places that do not do, one after the other, after which there is no room."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """A grid that fills with nuclei.

    Attributes:
        spacing: (3,) micrometres from pixel to pixel.
        labels: (Z, Y, X) int32, nuclei 1..N in the order in which they came, 0 between them.
        light: (Z, Y, X) float32, what shines, about 1 in a nucleus.
        nuclei: they and their centers in micrometres.
    """

    spacing: np.ndarray
    labels: np.ndarray
    light: np.ndarray
    nuclei: list[tuple[Nucleus, np.ndarray]]

    def add(self, nucleus: Nucleus, center: np.ndarray, brightness: float) -> bool:
        """Set a nucleus into what is free, unless too little of it is, or not in one piece."""
        box, level = nucleus.sample(center, self.spacing)
        inside = level < 1
        there, part = _clipped(box, self.labels.shape)
        free = inside[part] & (self.labels[there] == 0)
        if free.sum() < _KEPT * inside.sum() or ndimage.label(free)[1] != 1:
            return False
        self.nuclei.append((nucleus, center))
        self.labels[there][free] = len(self.nuclei)
        # Dimmer towards the surface, or nothing would show where two of them touch.
        self.light[there][free] = (brightness * (1 - 0.6 * level[part] ** 6))[free]
        return True


def grow_tissue(
    shape: tuple[int, int, int], spacing: np.ndarray, count: int, rng: np.random.Generator
) -> Tissue:
    """Set nuclei in clusters until there are ``count``, or no place is found for more.

    All clusters are begun before any grows: else the first would outgrow the others.

    Args:
        shape: of the grid, (Z, Y, X).
        spacing: (3,) micrometres from pixel to pixel.
    """
    tissue = Tissue(spacing, np.zeros(shape, np.int32), np.zeros(shape, np.float32), [])
    failures = 0
    while len(tissue.nuclei) < count and failures < _FAILURES:
        nucleus = random_nucleus(rng)
        begins = len(tissue.nuclei) < max(1, _CLUSTERS * count)
        center = _anywhere(tissue, rng) if begins else _beside(tissue, nucleus, rng)
        added = tissue.add(nucleus, center, brightness=rng.lognormal(-0.05, 0.32))
        failures = 0 if added else failures + 1
    tissue.light[...] *= _texture(shape, spacing, rng)
    return tissue


def _anywhere(tissue: Tissue, rng: np.random.Generator) -> np.ndarray:
    """A center in the grid."""
    return np.asarray(rng.uniform(0, (np.array(tissue.labels.shape) - 1) * tissue.spacing))


def _beside(tissue: Tissue, nucleus: Nucleus, rng: np.random.Generator) -> np.ndarray:
    """A center from which a nucleus presses a little into one that is there."""
    other, center = tissue.nuclei[rng.integers(len(tissue.nuclei))]
    direction = random_direction(rng)
    apart = (other.radius(direction) + nucleus.radius(direction)) * rng.uniform(0.82, 0.98)
    return np.asarray(center + apart * direction)


def _texture(shape: tuple[int, ...], spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(Z, Y, X) float32 about 1: grains, and fewer and darker hollows."""
    grains = smooth_noise(shape, 0.22 / spacing, rng)
    hollows = smooth_noise(shape, 0.45 / spacing, rng)
    hollow = 1 / (1 + np.exp(5 * (1.2 - hollows)))
    return np.asarray(np.exp(0.3 * grains) * (1 - 0.65 * hollow), np.float32)


def smooth_noise(shape: tuple[int, ...], sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(Z, Y, X) float32 normal noise of variance 1, smooth over ``sigma`` (3,) pixels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap")
    # Within bounds also where it is smooth over more than the whole grid.
    return np.asarray(np.clip(noise / max(float(noise.std()), 1e-6), -5, 5))


def _clipped(box: Window, shape: tuple[int, ...]) -> tuple[Window, Window]:
    """The part of a box that lies on a grid, on the grid and in the box."""
    there = tuple(slice(*np.clip((s.start, s.stop), 0, n)) for s, n in zip(box, shape, strict=True))
    part = tuple(
        slice(t.start - s.start, t.stop - s.start) for t, s in zip(there, box, strict=True)
    )
    return there, part

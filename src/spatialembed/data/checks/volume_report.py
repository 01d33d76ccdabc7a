"""What a split of volumes holds: how far its voxels lie apart, and how far its objects reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from spatialembed.data.checks.one_image import Look
from spatialembed.data.images.spacing import Spacing, in_words
from spatialembed.files.described import some

Extents: TypeAlias = dict[str, tuple[float, float, float]]
"""Of "x", "y" and "z": the median, least and largest side of the boxes of objects."""


def extents_of(looks: Sequence[Look]) -> tuple[Extents, Extents]:
    """In voxels, and in micrometres where all volumes state theirs; empty without an object."""
    sides = [look.objects[:, 5:8] - look.objects[:, 2:5] for look in looks]
    lengths = [
        side * np.array(look.spacing)
        for side, look in zip(sides, looks, strict=True)
        if look.spacing is not None
    ]
    return _extents(sides), _extents(lengths if len(lengths) == len(looks) else [])


def _extents(sides: Sequence[np.ndarray]) -> Extents:
    """Of (n, 3) sides along z, y and x of the objects of each volume."""
    if not sum(map(len, sides)):
        return {}
    every = np.concatenate(sides)
    figures = np.stack([np.median(every, 0), every.min(0), every.max(0)])
    return {axis: tuple(figures[:, k].tolist()) for axis, k in zip("xyz", (2, 1, 0), strict=True)}


def spacing_words(spacings: Mapping[Spacing | None, int]) -> str:
    """Spacings of volumes as people write them."""
    known = [
        in_words(spacing) + (f" in {some(n, 'volume')}" if len(spacings) > 1 else "")
        for spacing, n in spacings.items()
        if spacing is not None
    ]
    count = spacings.get(None, 0)
    silent = f"not stated by {count} file{'s' * (count > 1)}" if count else ""
    return ", ".join([*known, *filter(None, [silent])])


def extent_lines(voxels: Extents, micrometres: Extents) -> Iterator[str]:
    """How far objects reach, a line each in voxels and in micrometres."""
    for extents, unit in ((voxels, "voxels"), (micrometres, "µm")):
        if extents:
            told = (
                f"{a} {m:.3g} ({low:.3g} to {high:.3g})" for a, (m, low, high) in extents.items()
            )
            yield f"objects reach, median and range: {', '.join(told)} {unit}"

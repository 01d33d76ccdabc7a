"""Micrometres between voxels and pixels, of what files state: numbers and the names of units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

from spatialembed.errors import UserError
from spatialembed.files.described import shown

Spacing: TypeAlias = tuple[float, float, float]
"""Micrometres between voxels along z, y and x."""

PixelSize: TypeAlias = tuple[float, float]
"""Micrometres that a pixel is high and wide."""

ALIKE = 0.1
"""By how much, as a share, lengths and proportions of voxels may differ and be taken for one."""

MOST = 8.0
"""By how much images may be enlarged or shrunk for their pixel size: one that is wrong by a power
of ten, or an overview of a slide, is none that a model knows how to see."""

_POWERS = {
    **dict.fromkeys(("pm", "picometer", "picometre"), -6),
    **dict.fromkeys(
        ("\N{ANGSTROM SIGN}", "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}", "angstrom"), -4
    ),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), -3),
    **dict.fromkeys(
        (
            "micron",
            "um",
            "\N{MICRO SIGN}m",
            "\N{GREEK SMALL LETTER MU}m",
            r"\u00b5m",
        ),
        0,
    ),
    **dict.fromkeys(("micrometer", "micrometre"), 0),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 4),
    **dict.fromkeys(("m", "meter", "metre"), 6),
}
"""Powers of ten of a micrometre. Micro and angstrom have two letters each in Unicode, and ImageJ
escapes the first. An inch is what programs write that know of paper alone."""

_LEAST, _MOST = 1e-4, 1e5
"""Of a voxel's side: from atoms to whole animals."""

_MOST_RATIO = 300
"""Of a voxel's sides; of units that are mixed up it is a thousand, and some more."""


def one_an_axis(spacing: object, axes: int) -> tuple[float, ...]:
    """A spacing that code was given, of a number for each axis.

    Args:
        spacing: whatever it is.
        axes: 2 of an image, 3 of a volume.

    Raises:
        UserError: it is not as many numbers above 0.
    """
    try:
        steps = tuple(float(step) for step in cast(Iterable[Any], spacing))
    except (TypeError, ValueError):
        steps = ()
    if len(steps) != axes or not all(0 < step < math.inf for step in steps):
        along = "y and x" if axes == 2 else "z, y and x"
        raise UserError(
            f"spacing is a number above 0 for each axis, along {along}, not {shown(spacing)}"
        )
    return steps


def unlike(one: Spacing, other: Spacing) -> bool:
    """Whether voxels are of other proportions, z or y to x, than others."""
    ratios = ((one[k] / one[2]) / (other[k] / other[2]) for k in (0, 1))
    return any(abs(ratio - 1) > ALIKE for ratio in ratios)


def in_words(spacing: Spacing) -> str:
    """A spacing in the order in which ``--spacing`` takes it."""
    return f"{' x '.join(f'{step:.3g}' for step in spacing)} µm (z, y, x)"


def side_of(size: PixelSize) -> float | None:
    """Micrometres that a pixel's side is long; None where its sides differ by over a tenth."""
    y, x = size
    return None if abs(y / x - 1) > ALIKE else math.sqrt(y * x)


def stated(sizes: Sequence[object], units: Sequence[object]) -> tuple[float, ...] | None:
    """Micrometres, of sizes with their units; None where one is not stated, or they are absurd."""
    found = [one for one in map(_micrometres, sizes, units) if one is not None]
    if len(found) < len(sizes) or max(found) > _MOST_RATIO * min(found):
        return None
    return tuple(found)


def _micrometres(size: object, unit: object) -> float | None:
    name = str(unit).strip()
    # Words in any case and number; of symbols Mm is not mm.
    power = _POWERS.get(name if len(name) < 3 else name.lower().removesuffix("s"))
    try:
        number = float(str(size))
    except ValueError:
        return None
    if power is None or not math.isfinite(number):
        return None
    # By a division, since 284 nm are 0.284 and not 0.28400000000000003.
    found = number * 10**power if power > 0 else number / 10**-power
    return found if _LEAST <= found <= _MOST else None

"""Images shown as large as those of training, by micrometres, where both are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from spatialembed.data.images.spacing import ALIKE, MOST, in_words, side_of
from spatialembed.errors import UserError

if TYPE_CHECKING:
    from spatialembed.models.spec import ModelSpec


class Ratios(NamedTuple):
    """By how much an image is shown larger than its model would show it by itself."""

    planes: float = 1.0
    depth: float = 1.0
    """Of volumes, along z."""


AS_IT_IS = Ratios()


def ratios_of(spec: ModelSpec, spacing: Sequence[float] | None) -> Ratios | None:
    """What makes pixels, or voxels, as large as those of training; None where that is not known.

    Along z a tenth makes no difference, as nothing is resampled for it; planes are enlarged or
    shrunk in any case.

    Args:
        spec: of the model.
        spacing: micrometres between pixels along (y, x), or voxels along (z, y, x).
    """
    if spacing is None or spec.object_diameter is None:
        return None
    if spec.dims == 2:
        side, own = side_of((spacing[-2], spacing[-1])), spec.pixel_size
        return None if side is None or own is None else Ratios(_rounded(side / own))
    trained = spec.spacing
    if trained is None or not spec.training.get("spacing_stated", False):
        return None
    z, y, x = (one / own for one, own in zip(spacing, trained, strict=True))
    if abs(y / x - 1) > ALIKE:
        return None
    return Ratios(_rounded(math.sqrt(y * x)), 1.0 if abs(z - 1) <= ALIKE else _rounded(z))


def require_near(ratios: Ratios, model: str, spec: ModelSpec, name: str) -> None:
    """Refuse an image of this name whose pixels are far larger or smaller than those of training.

    Raises:
        UserError: by more than :data:`MOST`.
    """
    if all(1 / MOST <= ratio <= MOST for ratio in ratios):
        return
    if spec.dims == 3 and spec.spacing is not None:
        z, y, x = spec.spacing
        here = z * ratios.depth, y * ratios.planes, x * ratios.planes
        both = f"voxels of {in_words(here)}, {model} was trained on {in_words(spec.spacing)}"
    else:
        trained = spec.pixel_size or 1.0
        both = f"pixels of {trained * ratios.planes:.3g} µm, {model} was trained on {trained:.3g}"
    instead = "" if spec.dims == 3 else " or give --pixel_size"
    raise UserError(
        f"{name} has {both}, which is too far apart to be shown as in training: if its file is "
        f"wrong correct it{instead}, else say with --diameter how many pixels wide objects are"
    )


def _rounded(ratio: float) -> float:
    """To three digits, as the zoom of a model is: 0.4999 µm are 0.5."""
    return float(f"{ratio:.3g}")

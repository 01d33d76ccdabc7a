"""What is asked of a model for the images to come, if it can be done: a size, an inversion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spatialembed.errors import UserError
from spatialembed.models.spec import require_zoom

if TYPE_CHECKING:
    from spatialembed.models.spec import ModelSpec


def size_ratio(name: str, spec: ModelSpec, diameter: float | None) -> float:
    """Width of the training objects over that of objects of a ``diameter`` in pixels; 1 for None.

    Raises:
        UserError: no positive number, too far from training, or a model, which ``name`` is the
            name of, that does not say how wide its objects were.
    """
    if diameter is None:
        return 1.0
    if not 0 < diameter < math.inf:
        raise UserError(f"the diameter of objects is a number of pixels, not {diameter}")
    if spec.object_diameter is None:
        raise UserError(
            f"{name} does not say how wide its objects were, so that it cannot follow a diameter"
        )
    ratio = spec.object_diameter / diameter
    require_zoom(spec.zoom * ratio, f"check the diameter, {diameter:g} pixels: zoom")
    return ratio


def asked_pixel_size(name: str, spec: ModelSpec, size: float | None) -> float | None:
    """Micrometres that pixels of the images to come are wide, as asked.

    Raises:
        UserError: no positive number, or of a model of volumes.
    """
    if size is not None and not 0 < size < math.inf:
        raise UserError(f"the pixel size is a number of micrometres above 0, not {size}")
    if size is not None and spec.dims == 3:
        raise UserError(
            f"{name} is of volumes, which have a spacing along z, too, that their files state: "
            "leave --pixel_size out"
        )
    return size


def inverted(name: str, spec: ModelSpec, invert: bool) -> bool:
    """Whether images are to be inverted, as asked.

    Raises:
        UserError: to invert what the normalisation gives no black and white.
    """
    kind = spec.normalization.kind
    if invert and kind not in ("percentile", "range"):
        raise UserError(
            f"{name} takes images by the normalisation {kind}, which knows no black and white to "
            "exchange: leave out --invert, and invert the files"
        )
    return invert

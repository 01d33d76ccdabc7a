"""What is asked of a model for the images to come, if it can be done: a size, an inversion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatialembed.data.images.spacing import Spacing, one_an_axis
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
            f"{name} is of volumes, which have a spacing along z, too, that their files state or "
            "predict is told with --spacing Z Y X: leave --pixel_size out"
        )
    return size


def asked_spacing(
    spacing: Sequence[float] | None, stacks: bool, size: float | None
) -> Spacing | None:
    """Micrometres between the voxels of the stacks to come along z, y and x, as asked.

    Raises:
        UserError: not three numbers above 0, of images, or beside a pixel ``size``.
    """
    if spacing is None:
        return None
    if not stacks or size is not None:
        raise UserError(
            "--spacing is of stacks, and says how large pixels are in their planes, too: "
            + (
                "leave --pixel_size out"
                if stacks
                else "of images give --pixel_size instead, of stacks --stitch, too"
            )
        )
    z, y, x = one_an_axis(spacing, 3)
    return z, y, x


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

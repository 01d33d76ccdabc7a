"""At which size objects are shown to the model that few images are learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.evidence import Tally, is_better

SAME = 0.1
"""Change of the magnification that makes no difference."""


def at_zoom(spec: ModelSpec, zoom: float, diameter: float) -> ModelSpec:
    """The model for images whose objects are ``diameter`` pixels wide, magnified so."""
    ratio = zoom / spec.zoom
    size = max(1, round(spec.min_size / ratio**2))
    return replace(spec, zoom=float(f"{zoom:.3g}"), min_size=size, object_diameter=diameter)


def sized(
    start: ModelSpec,
    diameter: float,
    shown: float | None,
    found_by: Callable[[ModelSpec], list[Tally]],
) -> tuple[ModelSpec, list[Tally]]:
    """The start as it is, or at the size of the given images' objects; and what it finds so.

    The one is preferred, and the other taken where it is clearly better. Preferred is what was
    asked for, if anything was; else the start as it is, unless it never saw such objects.

    Args:
        start: the model.
        diameter: median of the given objects, in pixels.
        shown: how wide the network is to see that, in pixels; None for as in its training.
        found_by: what a model finds in the images that judge.
    """
    seen = start.object_diameter or diameter
    zoom = (shown or seen * start.zoom) / diameter
    other = at_zoom(start, zoom, diameter)
    low, high = start.training.get("diameters", (0.0, float("inf")))
    if abs(zoom / start.zoom - 1) < SAME:
        return start, found_by(start)
    first, second = start, other
    if shown is not None or not low <= diameter <= high:
        first, second = other, start
    found, instead = found_by(first), found_by(second)
    return (second, instead) if is_better(instead, found) else (first, found)

"""At which size objects are shown to the model that few images are learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spatialembed.inference.true_size import ratios_of, require_near
from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.evidence import Tally, is_better

SAME = 0.1
"""Change of the magnification that makes no difference."""


def at_zoom(spec: ModelSpec, zoom: float, diameter: float) -> ModelSpec:
    """The model for images whose objects are ``diameter`` pixels wide, magnified so.

    How large their pixels are it does not know, and how wide objects are it does not find out.
    """
    ratio = zoom / spec.zoom
    size = max(1, round(spec.min_size / ratio**2))
    shown = replace(spec, zoom=float(f"{zoom:.3g}"), min_size=size, pixel_size=None)
    return replace(shown, object_diameter=diameter, finds_size=False)


def at_pixel_size(start: ModelSpec, size: float | None, name: str, data: str) -> ModelSpec:
    """The start for images whose pixels are ``size`` micrometres wide.

    It sees them as it does in predicting: as large as what it was trained on, where it knows how
    large the pixels of that were.

    Args:
        start: the model.
        size: None where it is not known.
        name, data: of the model and the images, as a refusal calls them.

    Raises:
        UserError: pixels of which one is over eight times as large as the other.
    """
    ratios = None if size is None else ratios_of(start, (size, size))
    if ratios is None or start.object_diameter is None:
        return start
    require_near(ratios, name, start, data)
    planes = ratios.planes
    training = dict(start.training)
    if "diameters" in training:
        training["diameters"] = [round(d / planes, 1) for d in training["diameters"]]
    spec = at_zoom(start, start.zoom * planes, start.object_diameter / planes)
    return replace(spec, pixel_size=size, training=training)


def sized(
    start: ModelSpec,
    diameter: float,
    shown: float | None,
    found_by: Callable[[ModelSpec], list[Tally]],
) -> tuple[ModelSpec, list[Tally]]:
    """The start as it is, or at the size of the given images' objects; and what it finds so.

    The one is preferred, and the other taken where it is clearly better. Preferred is what was
    asked for, if anything was; else the start as it is, unless it never saw such objects. A start
    that finds out in each image how wide they are is told that by the given objects instead.

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
    if start.finds_size:
        return other, found_by(other)
    if abs(zoom / start.zoom - 1) < SAME:
        return start, found_by(start)
    first, second = start, other
    if shown is not None or not low <= diameter <= high:
        first, second = other, start
    found, instead = found_by(first), found_by(second)
    return (second, instead) if is_better(instead, found) else (first, found)

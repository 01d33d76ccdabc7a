"""At which size objects are shown to the model that few images are learned from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from spatialembed.data.sample import Sample
from spatialembed.errors import ImageWarning
from spatialembed.inference.own_size import usual_width
from spatialembed.inference.predictor import Model
from spatialembed.inference.true_size import ratios_of, require_near
from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.evidence import Tally, is_better

SAME = 0.1
"""Change of the magnification that makes no difference."""

LOOKED_AT = 10
"""Images at most of which a trained model says how wide their objects are."""

AGREES = 1.25
"""Ratio of what it says to what is so, up to which it is right."""


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


def finding_as(start: ModelSpec, trained: ModelSpec) -> ModelSpec | None:
    """What was learned at the given objects' size, finding sizes itself as its start does.

    None where the start does not, where pixels are of a known size, or where objects are shown
    otherwise than to the start.
    """
    if not start.finds_size or trained.pixel_size is not None:
        return None
    known, given = start.object_diameter, trained.object_diameter
    assert known is not None  # as the spec requires
    assert given is not None
    if abs(trained.zoom * given / (start.zoom * known) - 1) >= SAME:
        return None
    return replace(at_zoom(trained, start.zoom, known), zoom=start.zoom, finds_size=True)


def finds_the_given(model: Model, samples: Iterable[Sample]) -> bool:
    """Whether a model that finds sizes comes near to that of the given objects in each image."""
    assert model.spec.object_diameter is not None
    for sample in samples:
        areas = np.bincount(sample.label_mask[sample.label_mask > 0])
        if len(areas) == 0:
            continue
        given = usual_width(np.sqrt(areas[areas > 0] * 4 / np.pi))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # an unsure size is compared all the same
            seen = model.for_image(sample.image, sample.name)
        found = model.spec.object_diameter / seen.size_ratio
        if max(found, given) > AGREES * min(found, given):
            return False
    return True

"""VGG Image Annotator (VIA): a json of regions by image, as project or as annotations.

A region's class is its attribute named as classes are, or its only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialembed.convert import via_3
from spatialembed.convert.canvas import Canvas
from spatialembed.convert.picture import OBJECT, Picture
from spatialembed.convert.source import Source
from spatialembed.errors import UserError
from spatialembed.files.described import read_json

REMEDY = "in VIA, save the project or export the annotations as json anew"

_NAMES = ("class", "label", "type", "name", "category", "object")
"""Attributes that are taken for the class, in lower case, the best first."""


def recognize(source: Source) -> bool:
    """Whether there is a json of VIA's."""
    return bool(source.jsons("VGG Image Annotator"))


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all jsons.

    Raises:
        UserError: an image is missing, or a region cannot be drawn.
    """
    for file in source.jsons("VGG Image Annotator"):
        for entry in _entries(file).values():
            if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
                raise UserError(f"{file} has an image without a filename; {REMEDY}")
            yield _picture(source, file, entry)


def _entries(file: Path) -> dict[str, Any]:
    """The images of a json, whatever its version."""
    content = read_json(file, REMEDY, largest=None)
    if via_3.is_project(content):
        try:
            return via_3.images_of(content)
        except ValueError as error:
            raise UserError(f"{file} {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file} is no whole project of VIA 3; {REMEDY}") from error
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise UserError(f"{file} has no images; {REMEDY}")
    return entries


def _picture(source: Source, file: Path, entry: Mapping[str, Any]) -> Picture:
    image = source.image(entry["filename"], file)
    size = source.size(image, file)
    canvas = Canvas(file, size, source.notes)
    regions = entry.get("regions") or []
    rows = regions.values() if isinstance(regions, dict) else regions  # VIA 1 numbers them
    for number, region in enumerate(rows, 1):
        what = f"region {number} of {entry['filename']}"
        try:
            shape, facts = region["shape_attributes"], region.get("region_attributes") or {}
            _draw(canvas, what, _class(facts), shape)
        except (KeyError, TypeError, AttributeError) as error:
            raise canvas.wrong(what, "is no region") from error
    split = source.split(file, image)
    return Picture(image, source.name(image), split, size, canvas.objects(), canvas.ignored())


def _class(facts: Mapping[str, Any]) -> str:
    held = {key.lower(): _text(value) for key, value in facts.items() if _text(value)}
    known = [held[name] for name in _NAMES if name in held]
    return known[0] if known else next(iter(held.values())) if len(held) == 1 else OBJECT


def _text(value: Any) -> str:
    """An attribute's value; of boxes to tick the ones that are, joined."""
    if isinstance(value, dict):
        return " ".join(key for key, ticked in value.items() if ticked)
    return str(value).strip() if isinstance(value, str | int) else ""


def _draw(canvas: Canvas, what: str, name: str, shape: Mapping[str, Any]) -> None:
    kind, what = shape["name"], f"{what} ({name[:60]})"
    if kind == "polygon":
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        if len(xs) != len(ys):
            raise canvas.wrong(what, f"has {len(xs)} x and {len(ys)} y")
        canvas.polygon(what, name, [list(pair) for pair in zip(xs, ys, strict=True)])
    elif kind == "circle":
        canvas.ellipse(what, name, (shape["cx"], shape["cy"]), (shape["r"], shape["r"]))
    elif kind == "ellipse":
        # VIA 2 keeps the angle in radians.
        degrees = float(shape.get("theta") or 0) * 57.29577951308232
        center, radii = (shape["cx"], shape["cy"]), (shape["rx"], shape["ry"])
        canvas.ellipse(what, name, center, radii, degrees)
    elif kind == "rect":
        x, y = shape["x"], shape["y"]
        canvas.box(what, name, (x, y, x + shape["width"], y + shape["height"]))
    else:
        canvas.line(f"{what}, a {kind}")

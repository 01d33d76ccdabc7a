"""LabelMe: a json beside each image, with polygons, circles, boxes and masks.

Read and written here, as what is kept of it is one json: labelme itself brings Qt along. Shapes of
one label and group are one object, as LabelMe's own converters have it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spatialembed.convert.canvas import Canvas
from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import OBJECT, Picture, cut_out, placed
from spatialembed.convert.source import Source
from spatialembed.errors import UserError
from spatialembed.files.described import read_json
from spatialembed.formats.outlines import rings_of

VERSION = "5.5.0"
"""Of the jsons that are written."""

REMEDY = "open it in LabelMe and save it anew"

_LINES = ("point", "points", "line", "linestrip")


def recognize(source: Source) -> bool:
    """Whether there are LabelMe's jsons."""
    return bool(source.jsons("LabelMe"))


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all jsons.

    Raises:
        UserError: an image is missing or of another size, or a shape cannot be drawn.
    """
    for file in source.jsons("LabelMe"):
        content = read_json(file, REMEDY, largest=None)
        image = _image(source, file, content)
        size = source.size(image, file, content.get("imageHeight"), content.get("imageWidth"))
        canvas = Canvas(file, size, source.notes)
        shapes = content.get("shapes")
        if not isinstance(shapes, list):
            raise UserError(f"{file} has no list of shapes; {REMEDY}")
        for number, shape in enumerate(shapes, 1):
            _draw(canvas, f"shape {number}", shape)
        yield Picture(
            image,
            source.name(file),
            source.split(file.with_suffix("")),  # its name is the image's
            size,
            canvas.objects(),
            canvas.ignored(),
        )


def _image(source: Source, file: Path, content: dict[str, Any]) -> Path:
    """The image file; where there is none, the image that the json holds.

    That beside it comes before one of the name elsewhere: the two may have been renamed.
    """
    named = content.get("imagePath")
    if near := source.at(named, file) or source.beside(file, file.stem):
        return near
    try:
        return source.image(named, file)
    except UserError:
        if not content.get("imageData"):
            raise
    path = source.scratch / source.name(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = base64.b64decode(content["imageData"])
        with Image.open(io.BytesIO(data)) as opened:
            path = path.with_name(f"{path.name}.{(opened.format or 'png').lower()}")
    except (TypeError, ValueError, OSError) as error:
        raise UserError(f"{file} holds an image that cannot be read; {REMEDY}") from error
    path.write_bytes(data)
    return path


def _draw(canvas: Canvas, what: str, shape: Any) -> None:
    if not isinstance(shape, dict):
        raise canvas.wrong(what, "is no shape")
    name, points = str(shape.get("label") or OBJECT), shape.get("points") or []
    kind, group = shape.get("shape_type") or "polygon", shape.get("group_id")
    what = f"{what} ({name[:60]})"
    if kind == "polygon":
        canvas.polygon(what, name, points, group)
    elif kind == "mask":
        canvas.bitmap(name, _mask(canvas, what, shape), *_corner(canvas, what, points), group)
    elif kind == "circle":
        try:
            (x, y), (x1, y1) = points
            radius = float(np.hypot(x1 - x, y1 - y))
        except (TypeError, ValueError) as error:
            raise canvas.wrong(what, "is a circle without its two points") from error
        canvas.ellipse(what, name, (x, y), (radius, radius), 0, group)
    elif kind in _LINES:
        canvas.line(f"{what}, a {kind}")
    else:  # rectangles, and what is turned or has corners in depth, of which pixels are not known
        canvas.corners(what, name, points, group)


def _mask(canvas: Canvas, what: str, shape: dict[str, Any]) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as opened:
            return np.asarray(opened.convert("L"))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise canvas.wrong(what, "is a mask that cannot be read") from error


def _corner(canvas: Canvas, what: str, points: Any) -> tuple[int, int]:
    try:
        x, y = points[0]
        return round(x), round(y)
    except (TypeError, ValueError, IndexError) as error:
        raise canvas.wrong(what, "is a mask without its place") from error


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """A json beside each image: polygons, of objects with holes masks.

    Returns:
        What to do with it.
    """
    for each in placed(pictures, splits=False):
        copy_image(each, out)
        (height, width), objects = each.picture.size, each.picture.objects
        shapes = [shape for k, row in enumerate(objects, 1) for shape in _shapes(k, *row)]
        if each.picture.ignored:
            source.notes.add("images with ignored regions, which LabelMe has not", each.file)
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": Path(each.file).name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        path = (out / each.file).with_name(f"{each.name}.json")
        path.write_text(json.dumps(content), encoding="utf-8")
    return f"open it with `labelme {out}`"


def _shapes(number: int, name: str, mask: Any) -> Iterator[dict[str, Any]]:
    x, y, cut = cut_out(mask)
    parts = rings_of(cut, y, x)
    common = {"label": name, "flags": {}, "description": ""}
    if any(len(rings) > 1 for rings in parts):  # LabelMe's polygons have no holes
        file = io.BytesIO()
        Image.fromarray(cut.astype(np.uint8)).save(file, format="PNG")
        height, width = cut.shape
        points = [[x, y], [x + width - 1, y + height - 1]]
        coded = base64.b64encode(file.getvalue()).decode("ascii")
        shape = {"points": points, "shape_type": "mask", "group_id": None, "mask": coded}
        yield {**common, **shape}
        return
    group = number if len(parts) > 1 else None
    for (ring,) in parts:
        points = ring[:-1].tolist()
        yield {**common, "points": points, "shape_type": "polygon", "group_id": group, "mask": None}

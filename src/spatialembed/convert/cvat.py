"""CVAT's own xml, "CVAT for images 1.1": polygons, masks, ellipses and boxes of every image.

Shapes of one label and group are one object, as in CVAT's export to COCO; a mask's run lengths go
along the rows of its box and begin with what is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import numpy as np

from spatialembed.convert.canvas import Canvas
from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import OBJECT, Picture, class_names, cut_out, placed
from spatialembed.convert.source import Source
from spatialembed.errors import UserError

REMEDY = "export the task anew as CVAT for images 1.1"

_BEGINNING = b"<annotations"

_LINES = ("points", "polyline", "skeleton")


def recognize(source: Source) -> bool:
    """Whether there is an xml of CVAT's."""
    return bool(_files(source))


def _files(source: Source) -> list[Path]:
    return [file for file in source.ending(".xml") if _is_cvat(file)]


def _is_cvat(file: Path) -> bool:
    with file.open("rb") as stream:
        return _BEGINNING in stream.read(4096)


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all xml files.

    Raises:
        UserError: an xml that cannot be read or is of a video, an image that is missing or of
            another size, or a shape that cannot be drawn.
    """
    for file in _files(source):
        try:
            root = xml.parse(file).getroot()
        except xml.ParseError as error:
            raise UserError(f"{file} cannot be read as xml ({error}); {REMEDY}") from error
        if root.find("track") is not None:
            raise UserError(f"{file} has tracks, as of a video; {REMEDY}")
        for row in root.findall("image"):
            yield _picture(source, file, row)


def _picture(source: Source, file: Path, row: xml.Element) -> Picture:
    image = source.image(row.get("name"), file)
    stated = (_whole(file, row, side) for side in ("height", "width"))
    size = source.size(image, file, *stated)
    canvas = Canvas(file, size, source.notes)
    # Of what is higher CVAT shows all, but keeps what lies beneath: so do these objects.
    for number, shape in enumerate(row, 1):
        _draw(canvas, f"shape {number} of {row.get('name')}", shape)
    split = source.split(file, image, said=row.get("subset"))
    return Picture(image, source.name(image), split, size, canvas.objects(), canvas.ignored())


def _whole(file: Path, row: xml.Element, name: str) -> int:
    try:
        return int(row.get(name, ""))
    except ValueError as error:
        at = f"the {name} of {row.tag} {row.get('name', row.get('label', ''))}"
        raise UserError(f"{file}: {at} is no whole number; {REMEDY}") from error


def _draw(canvas: Canvas, what: str, shape: xml.Element) -> None:
    name, group = shape.get("label") or OBJECT, shape.get("group_id")
    group = None if group in (None, "", "0") else group
    what = f"{what} ({name[:60]})"
    if shape.tag == "polygon":
        canvas.polygon(what, name, _points(canvas, what, shape), group)
    elif shape.tag == "mask":
        left, top = (_whole(canvas.file, shape, side) for side in ("left", "top"))
        canvas.bitmap(name, _mask(canvas, what, shape), left, top, group)
    elif shape.tag == "ellipse":
        x, y, a, b = _numbers(canvas, what, shape, "cx", "cy", "rx", "ry")
        canvas.ellipse(what, name, (x, y), (a, b), _turn(canvas, what, shape), group)
    elif shape.tag == "box":
        corners = _numbers(canvas, what, shape, "xtl", "ytl", "xbr", "ybr")
        canvas.box(what, name, corners, group, _turn(canvas, what, shape))
    elif shape.tag in _LINES:
        canvas.line(f"{what}, {shape.tag}")
    elif shape.tag != "tag":  # which is of the whole image
        raise canvas.wrong(what, f"is a {shape.tag[:60]}, which is not read")


def _points(canvas: Canvas, what: str, shape: xml.Element) -> list[list[float]]:
    try:
        pairs = (pair.split(",") for pair in (shape.get("points") or "").split(";"))
        return [[float(x), float(y)] for x, y in pairs]
    except ValueError as error:
        raise canvas.wrong(what, "has points that are no pairs of numbers") from error


def _numbers(canvas: Canvas, what: str, shape: xml.Element, *names: str) -> list[float]:
    try:
        return [float(shape.get(name, "")) for name in names]
    except ValueError as error:
        raise canvas.wrong(what, f"lacks one of {', '.join(names)}") from error


def _turn(canvas: Canvas, what: str, shape: xml.Element) -> float:
    return _numbers(canvas, what, shape, "rotation")[0] if shape.get("rotation") else 0.0


def _mask(canvas: Canvas, what: str, shape: xml.Element) -> np.ndarray:
    height, width = (_whole(canvas.file, shape, side) for side in ("height", "width"))
    try:
        runs = np.array([int(run) for run in (shape.get("rle") or "").split(",")], np.int64)
        if (runs < 0).any() or runs.sum() != height * width:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise canvas.wrong(what, f"has run lengths that are none of {width}x{height}") from error
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(height, width)


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """annotations.xml and images/: every object a mask, which CVAT's brush corrects.

    Returns:
        What to do with it.
    """
    root = xml.Element("annotations")
    xml.SubElement(root, "version").text = "1.1"
    labels = xml.SubElement(xml.SubElement(xml.SubElement(root, "meta"), "task"), "labels")
    for name in class_names(pictures):
        xml.SubElement(xml.SubElement(labels, "label"), "name").text = name
    for number, each in enumerate(placed(pictures, splits=False)):
        copy_image(each, out / "images")
        height, width = each.picture.size
        # The split is the folder alone: datumaro passes over images with a "subset".
        facts = {"id": number, "name": each.file, "width": width, "height": height}
        row = xml.SubElement(root, "image", _texts(**facts))
        for name, mask in each.picture.objects:
            xml.SubElement(row, "mask", _mask_facts(name, mask))
        if each.picture.ignored:
            source.notes.add("images with ignored regions, which CVAT has not", each.file)
    xml.indent(root)
    xml.ElementTree(root).write(out / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return (
        "in CVAT, make a task of images/ with these labels, and upload annotations.xml to it as "
        "CVAT 1.1"
    )


def _mask_facts(name: str, mask: Any) -> dict[str, str]:
    x, y, cut = cut_out(mask)
    flat = cut.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    runs = np.diff(edges, prepend=0, append=flat.size)
    rle = ", ".join(map(str, runs.tolist()))
    place = {"left": x, "top": y, "width": cut.shape[1], "height": cut.shape[0]}
    return _texts(label=name, source="auto", occluded=0, rle=rle, **place, z_order=0)


def _texts(**facts: Any) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items()}

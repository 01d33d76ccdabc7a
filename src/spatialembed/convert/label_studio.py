"""Label Studio's JSON: tasks with results, polygons and ellipses in percent, brushes, bitmasks.

Of several annotations of a task the first that was not cancelled is taken, without any the first
prediction; a task without either, or that was skipped, is left out. Results of one id are one: a
shape and, where tools and labels are apart, its label.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
from PIL import Image

from spatialembed.convert import brush_rle
from spatialembed.convert.canvas import Canvas
from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import OBJECT, Picture, class_names, cut_out, placed
from spatialembed.convert.source import Source
from spatialembed.errors import UserError
from spatialembed.files.described import read_json

REMEDY = "export the project anew as JSON"

_SHAPES = ("polygon", "brush", "bitmask", "ellipse", "rectangle", "vector")

_CONFIG = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="labels" toName="image">
{labels}
  </BrushLabels>
</View>
"""


def recognize(source: Source) -> bool:
    """Whether there is a JSON of Label Studio's."""
    return bool(source.jsons("Label Studio"))


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all tasks.

    Raises:
        UserError: an image is missing or of another size, or a result cannot be drawn.
    """
    for file in source.jsons("Label Studio"):
        for number, task in enumerate(read_json(file, REMEDY, largest=None), 1):
            what = f"task {task.get('id', number)}" if isinstance(task, dict) else f"task {number}"
            try:
                data, rows = task["data"], _results(source, file, what, task)
            except (KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{file}: {what} lacks data or annotations; {REMEDY}") from error
            if rows is not None:
                yield _picture(source, file, what, data, rows)


def _results(source: Source, file: Path, what: str, task: Any) -> list[Any] | None:
    """What was drawn; None where nobody looked, as then it is not known that nothing is there."""
    given = task.get("annotations") or ()
    made = [each for each in given if not each.get("was_cancelled")]
    if len(made) > 1:
        source.notes.add("annotations beside the first of their task: left out", f"{file}, {what}")
    taken = made or ([] if given else task.get("predictions") or [])
    if not taken:
        source.notes.add("tasks nobody labelled, or skipped: left out", f"{file}, {what}")
        return None
    return list(taken[0].get("result") or [])


def _picture(source: Source, file: Path, what: str, data: Any, rows: list[Any]) -> Picture:
    image = source.image(_file_of(data), file)
    size = source.size(image, file)
    canvas = Canvas(file, size, source.notes)
    named: dict[Any, str] = {}
    for row in rows:  # where tools and labels are apart, labels come as results of their own
        if isinstance(row, dict) and (label := _label(row)):
            named.setdefault(row.get("id"), label)
    drawn = set()
    for number, row in enumerate(rows, 1):
        kind = str(row.get("type", "")) if isinstance(row, dict) else ""
        shape = next((shape for shape in _SHAPES if kind.startswith(shape)), None)
        if shape == "vector" and not _is_closed(row.get("value")):
            shape = None
        told = f"result {number} of {what}"
        if shape is None:
            if kind not in ("labels", "choices"):
                canvas.line(f"{told}, {kind or 'of no type'}")
        elif (key := row.get("id", number)) not in drawn:
            drawn.add(key)
            source.size(image, file, row.get("original_height"), row.get("original_width"))
            _draw(canvas, told, shape, named.get(row.get("id")) or _label(row) or OBJECT, row)
    split = source.split(file, image)
    return Picture(image, source.name(image), split, size, canvas.objects(), canvas.ignored())


def _file_of(data: Any) -> str | None:
    """The image's file: of data's texts the one named as an image's address."""
    texts = data.values() if isinstance(data, dict) else ()
    addresses = [text for text in texts if isinstance(text, str)]
    best = data.get("image") if isinstance(data, dict) else None
    address = best if isinstance(best, str) else next(iter(addresses), None)
    if address is None:
        return None
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=folder/x.png
    return local[0] if local else unquote(parts.path) or None


def _label(row: dict[str, Any]) -> str:
    value = row.get("value")
    lists = value.items() if isinstance(value, dict) else ()
    held = [one for key, one in lists if key.endswith("labels") and isinstance(one, list) and one]
    return str(held[0][0]) if held else ""


def _is_closed(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("closed"))


def _draw(canvas: Canvas, what: str, shape: str, name: str, row: dict[str, Any]) -> None:
    value, (height, width) = row.get("value") or {}, canvas.size
    what = f"{what} ({name[:60]})"
    if (turned := row.get("image_rotation") or 0) not in (0, "0", 360):  # coordinates turn with it
        raise canvas.wrong(what, f"was drawn on the image turned by {turned} degrees")
    try:
        if shape == "brush":
            mask = brush_rle.decode(value["rle"], height, width)
            canvas.bitmap(name, mask, 0, 0)
        elif shape == "bitmask":
            canvas.bitmap(name, _opaque(value["imageDataURL"], canvas.size), 0, 0)
        elif shape == "polygon":
            points = [[x * width / 100, y * height / 100] for x, y in value["points"]]
            canvas.polygon(what, name, points)
        elif shape == "vector":
            corners = value["vertices"]
            if any(corner.get("isBezier") for corner in corners):
                raise canvas.wrong(what, "has curves, which are read of no vector")
            points = [[c["x"] * width / 100, c["y"] * height / 100] for c in corners]
            canvas.polygon(what, name, points)
        elif shape == "ellipse":
            center = value["x"] * width / 100, value["y"] * height / 100
            radii = value["radiusX"] * width / 100, value["radiusY"] * height / 100
            canvas.ellipse(what, name, center, radii, value.get("rotation") or 0)
        else:
            x, y = value["x"] * width / 100, value["y"] * height / 100
            far = x + value["width"] * width / 100, y + value["height"] * height / 100
            turn = value.get("rotation") or 0  # around the upper left corner
            canvas.box(what, name, (x, y, *far), degrees=turn, center=(x, y))
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise canvas.wrong(what, f"is a {shape} that cannot be read ({error})") from error


def _opaque(address: str, size: tuple[int, int]) -> np.ndarray:
    """(H, W) where the PNG that an address holds is not transparent, which is the bitmask."""
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as opened:
        mask = np.asarray(opened.convert("RGBA"))[..., 3]
    if mask.shape != size:
        raise ValueError(f"it is {mask.shape[1]}x{mask.shape[0]}, the image {size[1]}x{size[0]}")
    return mask


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """tasks.json with every object as a brush, images/, and the labels' config.xml.

    They are predictions, from which Label Studio makes annotations that are corrected.

    Returns:
        What to do with it.
    """
    tasks = []
    for each in placed(pictures, splits=False):
        copy_image(each, out / "images")
        result = [_result(k, *row, each.picture.size) for k, row in enumerate(each.picture.objects)]
        if each.picture.ignored:
            source.notes.add("images with ignored regions, which brushes have not", each.file)
        at = f"{out.name}/images/{each.file}"
        task = {"data": {"image": f"/data/local-files/?d={quote(at)}"}}
        tasks.append({**task, "predictions": [{"model_version": "labels", "result": result}]})
    (out / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    from xml.sax.saxutils import quoteattr

    rows = (f"    <Label value={quoteattr(name)}/>" for name in class_names(pictures))
    (out / "config.xml").write_text(_CONFIG.format(labels="\n".join(rows)), encoding="utf-8")
    return (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder that holds this one, make a "
        "project with config.xml as its labelling interface, add images/ as local storage, and "
        "import tasks.json"
    )


def _result(number: int, name: str, mask: Any, size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    x, y, cut = cut_out(mask)
    rle = brush_rle.encode(cut, (x, y), size)
    return {
        "id": f"object{number + 1}",
        "type": "brushlabels",
        "from_name": "labels",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": rle, "brushlabels": [name]},
    }

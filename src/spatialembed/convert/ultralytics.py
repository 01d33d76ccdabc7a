"""Ultralytics' text polygons (YOLO): a line an object in labels/x.txt, and the names in data.yaml.

A line is the number of a class and corners in shares of the image's size. A line has one outline:
parts and holes are joined by bridges without width, as Ultralytics' own converter joins parts.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spatialembed.convert.canvas import Canvas
from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import Picture, class_names, cut_out, placed
from spatialembed.convert.source import Source, read_text
from spatialembed.data.data_set import SPLITS, Split
from spatialembed.data.layouts.splits import split_of
from spatialembed.errors import UserError
from spatialembed.formats.outlines import rings_of

_BOX = 4
"""Numbers of a box: x, y of its center, width, height."""

_TURNED = 8
"""Numbers of a rotated box (OBB): its corners."""

TURNED = (
    "outlines, all of four corners, as rotated boxes (OBB) have: taken as outlines; "
    "of boxes the objects are too large"
)

NEEDED = "splits that are not there and Ultralytics wants: data.yaml names the images of another"

_LINE = re.compile(r"\s*[\d.]+(\s+[-+.\de]+){4}")
"""How a text of labels begins; lists of images and of names do not."""

WHOLE = (
    "outlines of whole pixels: where OpenCV drew them around masks, as supervision and Ultralytics "
    "do, the objects are half a pixel smaller all around"
)

ROUNDING = 0.02
"""Pixels that a share of few digits may be off."""


def recognize(source: Source) -> bool:
    """Whether there are texts of labels, or darknet's file of names."""
    inside = (file.relative_to(source.root) for file in source.ending(".txt"))
    return any("labels" in file.parts[:-1] for file in inside) or bool(source.ending("obj.names"))


def _names_file(source: Source) -> Path:
    """The file that names the classes: data.yaml as any tool calls it, classes.txt, obj.names."""
    named = [file for file in source.ending(".yaml", ".yml") if _names(file)]
    found = [*named, *source.ending("classes.txt", "obj.names")]
    if not found:
        raise UserError(
            f"{source.root} has texts of labels, but nothing names their classes; put data.yaml "
            "there, with a line such as `names: [cell, nucleus]`"
        )
    return found[0]


def _names(file: Path) -> dict[int, str]:
    """Names of classes by their numbers; none where the file has none."""
    text = read_text(file)
    if file.suffix.lower() not in (".yaml", ".yml"):
        return dict(enumerate(text.split("\n")[: len(text.splitlines())]))
    names = (_content(file) or {}).get("names")
    names = [names] if isinstance(names, str) else names
    pairs = names.items() if isinstance(names, dict) else enumerate(names or ())
    try:
        return {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError):
        return {}


def _content(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all splits; an image without a text has no object.

    Raises:
        UserError: a folder of images, or the image of a text, is missing, or a line is of an
            unknown class or no outline, or texts are of poses.
    """
    file = _names_file(source)
    names = _names(file)
    if _content(file).get("kpt_shape"):
        raise UserError(
            f"{file} has kpt_shape: its texts are boxes and points of poses, which have no "
            "outlines; export outlines (YOLO segmentation), or remove kpt_shape if they are"
        )
    images = [each for each in source.images if "labels" not in _inside(source, each)[-2:-1]]
    _require_images(source, images)
    taken: dict[Path, Split] = {}
    kinds: Counter[int] = Counter()
    for split, places in _places(source, file).items():
        for image in images:
            if places.isdisjoint((image, *image.parents)):
                continue
            if taken.setdefault(image, split) != split:
                first = f"{image}, which is {taken[image]} too"
                source.notes.add(f"images of {split} that are of another split: left out", first)
            else:
                yield _picture(source, file, names, image, split, kinds)
    if set(kinds) == {_TURNED}:
        source.notes.add(TURNED, file, kinds[_TURNED])
    for image in images:
        if image not in taken and _text_of(source, image).is_file():
            source.notes.add(f"images with labels that {file.name} does not name: left out", image)


def _require_images(source: Source, images: Sequence[Path]) -> None:
    """Refuse texts of labels that are of no image: its objects would be missing without a word."""
    known = {_text_of(source, image) for image in images}
    folders = {image.parent for image in images}
    alone = [
        text
        for text in source.ending(".txt")
        if text not in known
        and (text.parent in folders or "labels" in _inside(source, text)[:-1])
        and _has_labels(text)
    ]
    if alone:
        raise UserError(
            f"{alone[0]} has labels of no image ({len(alone)} such texts): that of labels/x.txt is "
            "images/x.png, else it lies beside x.txt or labels/; rename or move the one or the "
            "other, or delete the text"
        )


def _has_labels(text: Path) -> bool:
    with text.open(encoding="utf-8-sig", errors="replace") as stream:
        return bool(_LINE.match(stream.read(4096)))


def _inside(source: Source, file: Path) -> tuple[str, ...]:
    """Names of the folders below the one that is read, and the file's."""
    return file.relative_to(source.root).parts


def _places(source: Source, file: Path) -> dict[Split, set[Path]]:
    """Folders of images, or images, of every split, as data.yaml says; else by their folders."""
    content = _content(file) if file.suffix.lower() in (".yaml", ".yml") else {}
    found: dict[Split, set[Path]] = {split: set() for split in SPLITS}
    for key, value in content.items():
        split = split_of(str(key))
        for entry in value if isinstance(value, list) else [value]:
            if split and isinstance(entry, str):
                place = _place(source, file, str(content.get("path") or ""), entry)
                found[split].update([place] if place.is_dir() else _listed(source, place))
    if not any(found.values()):
        for image in source.images:
            found[source.split(image)].add(image)
    _once(source, found)
    return found


def _once(source: Source, found: dict[Split, set[Path]]) -> None:
    """Leave folders named for several splits, as Ultralytics wants train and val, to their own."""
    for place in filter(Path.is_dir, set().union(*found.values())):
        of = [split for split in SPLITS if place in found[split]]
        said = source.split(place / "x")
        for split in of:
            if split != (said if said in of else of[0]):
                found[split].discard(place)


def _listed(source: Source, file: Path) -> list[Path]:
    return [
        source.image(line.strip(), file) for line in read_text(file).splitlines() if line.strip()
    ]


def _place(source: Source, file: Path, path: str, entry: str) -> Path:
    """The folder, or the list of images, below the folder that is read."""
    # Tools write paths of the machine they ran on, Roboflow ../train/images from beside data.yaml.
    inside = "/".join(part for part in entry.replace("\\", "/").split("/") if part != "..")
    root = os.path.abspath(source.root)
    for written in (file.parent / path / entry, file.parent / entry, file.parent / inside):
        place = Path(os.path.abspath(written))
        read = place.is_dir() or (place.is_file() and place.suffix.lower() == ".txt")
        if read and place.is_relative_to(root):
            return source.root / place.relative_to(root)
    raise UserError(
        f"{file} names the images {entry}, which are no folder and no list (.txt) below "
        f"{source.root}; correct it there, or remove that line"
    )


def _picture(
    source: Source,
    named: Path,
    names: dict[int, str],
    image: Path,
    split: Split,
    kinds: Counter[int],
) -> Picture:
    size = source.size(image, image)
    text = _text_of(source, image)
    canvas = Canvas(text, size, source.notes)
    if text.is_file():
        for number, line in enumerate(read_text(text).splitlines(), 1):
            if line.strip():
                _draw(canvas, f"line {number}", line.split(), named, names)
                kinds[len(line.split()) - 1] += 1
    return Picture(image, source.name(image), split, size, canvas.objects(), canvas.ignored())


def _text_of(source: Source, image: Path) -> Path:
    """The text of an image: in labels/ where the image is in images/, else beside it, or in labels/
    there.
    """
    parts = list(_inside(source, image))
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
        return source.root.joinpath(*parts).with_suffix(".txt")
    beside = image.with_suffix(".txt")
    below = image.parent / "labels" / beside.name
    return below if below.is_file() and not beside.is_file() else beside


def _draw(canvas: Canvas, what: str, words: list[str], named: Path, names: dict[int, str]) -> None:
    try:
        number, shares = int(float(words[0])), np.array([float(word) for word in words[1:]])
    except ValueError as error:
        raise canvas.wrong(what, "is no class and shares of the image's size") from error
    if number not in names:
        raise UserError(
            f"{canvas.file}: {what} is of class {number}, and {named} names "
            f"{', '.join(map(str, names))}; name it there"
        )
    if (np.abs(shares) > 2).any():  # a little beyond the border is usual
        raise canvas.wrong(what, "is not in shares of the image's size, from 0 to 1")
    pixels = shares * np.resize(canvas.size[::-1], len(shares))
    name = names[number]
    if len(shares) == _BOX:
        x, y, w, h = pixels
        canvas.box(what, name, (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    elif len(shares) % 2:
        raise canvas.wrong(what, f"has {len(shares)} numbers, which are no pairs x, y")
    else:
        if (np.abs(pixels - pixels.round()) < ROUNDING).all():
            canvas.notes.add(WHOLE, f"{canvas.file}, {what}")
        canvas.polygon(what, name, pixels.reshape(-1, 2).tolist())


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """images/SPLIT, labels/SPLIT and data.yaml.

    Returns:
        What to do with it.
    """
    names = class_names(pictures)
    for each in placed(pictures):
        copy_image(each, out / "images")
        size, lines = np.array(each.picture.size[::-1]), []
        for name, mask in each.picture.objects:
            x, y, cut = cut_out(mask)
            rings = [ring for part in rings_of(cut, y, x) for ring in part]
            line = _bridged(rings) / size
            corners = " ".join(f"{value:.6f}".rstrip("0") for value in line.ravel())
            lines.append(f"{names.index(name)} {corners}\n")
        path = out / "labels" / Path(each.file).with_suffix(".txt")  # of x.ome.tif x.ome.txt
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
        if each.picture.ignored:
            source.notes.add("images with ignored regions, which texts have not", each.file)
    splits = [s for s in SPLITS if any(p.split == s for p in pictures)]
    said: dict[str, Any] = {split: f"images/{split}" for split in splits}
    for needed in ("train", "val"):  # Ultralytics wants both
        if said.setdefault(needed, said[splits[0]]) != f"images/{needed}":
            source.notes.add(NEEDED, f"{needed}: {said[needed]}")
    content = yaml.safe_dump({**said, "names": dict(enumerate(names))}, sort_keys=False)
    (out / "data.yaml").write_text(content, encoding="utf-8")
    return f"train with `yolo segment train data={out / 'data.yaml'}`"


def _bridged(rings: Sequence[np.ndarray]) -> np.ndarray:
    """One line (N, 2) through all rings, there and back from the first corner of the first."""
    start = rings[0][:1]
    return np.concatenate([line for ring in rings for line in (ring, start)][:-1])

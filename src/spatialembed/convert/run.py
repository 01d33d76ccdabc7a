"""A folder of another tool's becomes one that training reads, or the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, get_args

from spatialembed.convert import (
    Tool,
    cellpose,
    coco,
    cvat,
    label_folders,
    label_studio,
    labelme,
    object_masks,
    ultralytics,
    via,
)
from spatialembed.convert.picture import Picture, class_names, overlap
from spatialembed.convert.source import Source
from spatialembed.data.data_set import Crowds
from spatialembed.data.images.kinds import is_vendor
from spatialembed.data.layouts.other_layouts import kind_of_json
from spatialembed.data.open import scan_data
from spatialembed.errors import UserError
from spatialembed.files.described import read_json, said
from spatialembed.files.writing import new_folder

FORMATS: dict[str, Any] = {
    "LabelMe": labelme,
    "CVAT": cvat,
    "Label Studio": label_studio,
    "VGG Image Annotator": via,
    "Cellpose": cellpose,
    "Ultralytics (YOLO)": ultralytics,
    "COCO": coco,
    "a mask for each object": object_masks,
    "what training reads": label_folders,
}
"""What is read: the first that recognises the folder."""

_OF_JSON = (labelme, label_studio, via, coco)

WRITERS: dict[str, Any] = {
    "labelme": labelme,
    "cvat": cvat,
    "label_studio": label_studio,
    "ultralytics": ultralytics,
    "cellpose": cellpose,
    "coco": coco,
}
"""What is written besides what training reads."""

_BARE = (
    "images with nothing annotated, which teach that no object is there: take out those that "
    "nobody looked at"
)

_VENDOR = "images in a microscope's own format, which hardly a tool opens: store them as TIFF first"


class Converted(NamedTuple):
    """What was read and written, in words."""

    read: str
    written: str
    lost: list[str]
    """A line each."""
    next: str
    """What to do with it."""


def convert(
    source: str | Path,
    out: str | Path,
    to: Tool = "training",
    found: str | Path | None = None,
    crowds: Crowds = "ignore",
) -> Converted:
    """Write what an annotation tool wrote as training reads it, or for an annotation tool.

    For training label folders are written, or, of several classes or objects that overlap, COCO
    with run lengths, so that nothing is lost. ``out`` appears whole or not at all. Images are
    copied.

    Args:
        source: a folder of what a tool wrote, or of a data set, or of images.
        out: the folder to make.
        to: "training", or the tool.
        found: of a folder of images, that of the label TIFFs that ``predict`` wrote for them.
        crowds: what COCO's annotations marked iscrowd are: "ignore" them, or "objects".

    Raises:
        UserError: ``out`` is there, ``source`` is none that is known, or something in it cannot
            be read; the sentence names the file.
    """
    root, out = Path(source), Path(out)
    if to not in get_args(Tool):
        raise UserError(f"to must be {said(Tool)}, not {to}")
    if not root.is_dir():
        raise UserError(f"{root} is no folder; give that of what the tool wrote, unpacked")
    with new_folder(out, root) as made:
        held = Source(root, made.parent / "within", crowds=crowds)
        name, pictures = _read(held, to, None if found is None else Path(found))
        layout, further = _write(made, pictures, held, to)
        further = further.replace(str(made), str(out))
    written = f"{layout} in {out}: {_counts(pictures)}"
    return Converted(f"{root}: {name}", written, held.notes.lines(), further)


def _read(source: Source, to: Tool, found: Path | None) -> tuple[str, list[Picture]]:
    if found is not None:
        name, rows = f"results of {found}", label_folders.read_found(source, found)
    else:
        name = next((name for name, form in FORMATS.items() if form.recognize(source)), "")
        if not name or FORMATS[name] in _OF_JSON:
            _require_whole_jsons(source)
        if not name:
            scan_data(source.root)  # raises what it is and what to do
        form = FORMATS[name]
        if form is label_folders and to == "training":
            raise UserError(f"{source.root} is read as it is: `spatialembed check {source.root}`")
        rows = form.read(source)
    pictures = list(rows)
    _require(source.root, pictures)
    for picture in pictures if to == "training" else ():
        if not (picture.objects or picture.ignored):
            source.notes.add(_BARE, picture.image)
    if found is None and form is not label_folders:
        _note_what_is_left(source, form, pictures)
    return name, pictures


def _require_whole_jsons(source: Source) -> None:
    """Of a json that is cut off nobody can tell whose it is: it would be passed over."""
    for file in source.ending(".json"):
        if kind_of_json(file) is None:
            read_json(file, "export it again, or take it away from there", largest=None)


def _note_what_is_left(source: Source, form: Any, pictures: list[Picture]) -> None:
    """Note images that nothing annotates, and what other tools annotated."""
    taken = {picture.image for picture in pictures}
    for image in source.images if form is not ultralytics else ():
        is_mask = image.parent.name == "masks" or image.stem.endswith(cellpose.WRITTEN)
        if image not in taken and not is_mask:
            source.notes.add("image files without annotations: left out", image)
    for name, other in FORMATS.items():
        if other not in (form, object_masks, label_folders) and other.recognize(source):
            source.notes.add("tools' annotations beside those that are read: left out", name)


def _require(root: Path, pictures: Iterable[Picture]) -> None:
    times = Counter(picture.image for picture in pictures)
    if not times:
        raise UserError(f"{root} has no annotated image; export it anew with its images")
    image, most = times.most_common(1)[0]
    if most > 1:
        raise UserError(f"{image} is annotated in {most} places of {root}; keep one of them")


def _write(out: Path, pictures: list[Picture], source: Source, to: Tool) -> tuple[str, str]:
    """The layout that was written, and what to do with it."""
    if to != "training":
        for image in (each.image for each in pictures if is_vendor(each.image)):
            source.notes.add(_VENDOR, image)
        return to, str(WRITERS[to].write(out, pictures, source))
    further = f"`spatialembed check {out}`"
    classes = class_names(pictures)
    why = "several classes" if len(classes) > 1 else ""
    if not why and any(map(overlap, pictures)):
        why = "objects that overlap"
    if why:
        coco.write(out, pictures, source)
        return f"COCO, as there are {why},", further
    label_folders.write(out, pictures, source)
    return f"label folders of the class {classes[0]}", further


def _counts(pictures: list[Picture]) -> str:
    splits = Counter(picture.split for picture in pictures)
    images = ", ".join(f"{count} {split}" for split, count in splits.items())
    kinds = Counter(name for picture in pictures for name, _ in picture.objects)
    objects = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items())) or "none"
    return f"images: {images}; objects: {objects}"

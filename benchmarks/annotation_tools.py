"""What is lost on the way into an annotation tool's files and back: a table in Markdown.

    python benchmarks/annotation_tools.py

A set of three classes, with a hole, objects in two parts and objects that touch, is written for
each tool, converted into what training reads, and opened. What ``convert`` does not write
(VGG Image Annotator, ``_seg.npy``, a mask for each object) is written here as its tool does.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from spatialembed.convert import Tool, coco
from spatialembed.convert.label_folders import label_objects
from spatialembed.convert.picture import Picture, cut_out
from spatialembed.convert.run import convert
from spatialembed.convert.source import Source
from spatialembed.data import open_data
from spatialembed.formats.outlines import rings_of

SIZE = 80, 100
CLASSES = ("cell", "debris", "nucleus")
OF = dict(enumerate((0, 1, 2, 0, 1, 2, 0), 1))
"""Class of every object."""


def draw(turn: int) -> np.ndarray:
    """Label mask (80, 100): a square, a ring, one in two parts, two that touch, one bent, a dot."""
    y, x = np.indices(SIZE)
    mask = np.zeros(SIZE, np.int32)
    mask[5:20, 5:20] = 1
    mask[((y - 20) ** 2 + (x - 45) ** 2 < 225) & ((y - 20) ** 2 + (x - 45) ** 2 >= 25)] = 2
    mask[40:50, 5:15] = mask[40:50, 25:35] = 3
    mask[(y - 60) ** 2 + (x - 60) ** 2 < 144] = 4
    mask[((y - 60) ** 2 + (x - 78) ** 2 < 100) & (mask == 0)] = 5
    mask[55:75, 10:13] = mask[72:75, 10:30] = 6
    mask[10, 80] = mask[10, 81] = 7
    return np.ascontiguousarray((mask, mask[::-1], mask[:, ::-1])[turn])


def write_set(root: Path) -> list[Picture]:
    """Two images of train and one of val, in the COCO layout; what was written."""
    root.mkdir(parents=True)
    pictures = []
    with tempfile.TemporaryDirectory() as scratch:
        for turn, split in enumerate(("train", "train", "val")):
            image = Path(scratch) / f"{split}{turn}.png"
            mask = draw(turn)
            Image.fromarray((40 + 25 * mask).astype(np.uint8)).save(image)
            objects = [(CLASSES[OF[label]], rle) for label, rle in label_objects(mask)]
            pictures.append(Picture(image, image.stem, split, SIZE, objects, []))
        coco.write(root, pictures, Source(root, root))
    images = root / "images"
    return [p._replace(image=images / p.split / p.image.name) for p in pictures]


def write_via(root: Path, pictures: list[Picture]) -> None:
    """A project of VIA 2 in each split's folder: polygons, which have neither holes nor parts."""
    for split in {picture.split for picture in pictures}:
        entries = {}
        for picture in (each for each in pictures if each.split == split):
            regions = []
            for name, mask in picture.objects:
                x, y, cut = cut_out(mask)
                for outer, *_ in rings_of(cut, y, x):
                    xs, ys = outer[:-1].T.tolist()
                    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
                    facts = {"shape_attributes": shape, "region_attributes": {"type": name}}
                    regions.append(facts)
            file = put_image(picture, root / split)
            size = file.stat().st_size
            entry = {"filename": file.name, "size": size, "regions": regions}
            entries[f"{file.name}{size}"] = {**entry, "file_attributes": {}}
        content = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}}
        (root / split / "via_project.json").write_text(json.dumps(content))


def write_seg(root: Path, pictures: list[Picture]) -> None:
    """x_seg.npy as Cellpose's window saves it, the parts of it that matter here."""
    for picture in pictures:
        file = put_image(picture, root / picture.split)
        masks = draw(int(picture.name[-1])).astype(np.uint16)
        held = {"masks": masks, "outlines": masks * 0, "filename": file, "ismanual": [True]}
        np.save(file.with_name(f"{file.stem}_seg.npy"), held)


def write_masks(root: Path, pictures: list[Picture]) -> None:
    """A folder an image, a mask an object, as DSB2018 came."""
    for picture in pictures:
        folder = root / picture.split / picture.name
        put_image(picture, folder / "images")
        mask = draw(int(picture.name[-1]))
        (folder / "masks").mkdir()
        for label in OF:
            one = (255 * (mask == label)).astype(np.uint8)
            Image.fromarray(one).save(folder / "masks" / f"{label}.png")


def put_image(picture: Picture, folder: Path) -> Path:
    """A copy of a picture's image in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / picture.image.name
    file.write_bytes(picture.image.read_bytes())
    return file


OTHERS: dict[str, Callable[[Path, list[Picture]], None]] = {
    "via": write_via,
    "cellpose _seg.npy": write_seg,
    "a mask an object": write_masks,
}
TOOLS: tuple[Tool, ...] = ("labelme", "cvat", "label_studio", "ultralytics", "cellpose", "coco")


class Trip(NamedTuple):
    """What came back."""

    before: int
    after: int
    mean: float
    """IoU of every object before with the best of those after."""
    least: float
    classes: bool
    """Whether each has its class."""
    lost: list[str]


def trip(tool: str, folder: Path) -> Trip:
    """Write the set for a tool, convert it, and open it."""
    pictures, lost = write_set(folder / "set"), []
    if tool in OTHERS:
        OTHERS[tool](folder / "there", pictures)
    else:
        lost = convert(folder / "set", folder / "there", tool).lost
    if tool == "cellpose":  # training reads it as it is
        back = "there"
    else:
        back, more = "back", convert(folder / "there", folder / "back").lost
        lost = lost + more
    before = after = 0
    best, same = [], True
    for split in ("train", "val"):
        one, other = (open_data(folder / name, split, holdout=0) for name in ("set", back))
        for i in range(len(one)):
            a, b = one.truth(i), other.truth(i)
            ids = np.setdiff1d(a.label_mask, [0])
            before, after = before + len(ids), after + len(np.setdiff1d(b.label_mask, [0]))
            for label in ids:
                where = a.label_mask == label
                over, counts = np.unique(b.label_mask[where], return_counts=True)
                match = int(over[np.argmax(counts * (over > 0))])
                there = (b.label_mask == match) & (match > 0)
                best.append((there & where).sum() / (there | where).sum())
                names = [
                    data.class_names[int(truth.class_map[part][0])] if part.any() else ""
                    for data, truth, part in ((one, a, where), (other, b, there))
                ]
                same &= names[0] == names[1]
    return Trip(before, after, float(np.mean(best)), float(min(best)), same, lost)


def main() -> int:
    """Print the table."""
    print("| written for | objects before | after | IoU, mean | least | classes | lost |")
    print("|---|---|---|---|---|---|---|")
    for tool in (*TOOLS, *OTHERS):
        with tempfile.TemporaryDirectory() as folder:
            one = trip(tool, Path(folder))
        lost = "; ".join(line.partition(" (first")[0] for line in one.lost) or "nothing said"
        classes = "kept" if one.classes else "one"
        print(
            f"| {tool} | {one.before} | {one.after} | {one.mean:.3f} | {one.least:.3f} "
            f"| {classes} | {lost} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Layouts that annotation tools write and that are not read: whose they are, and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from spatialembed.data.images.reading import image_names
from spatialembed.data.layouts.json_kinds import kind_of_json
from spatialembed.files.names import is_hidden, stem

COCO_OF = {
    "CVAT": "in CVAT, export the task as COCO 1.0 with images",
    "Label Studio": "in Label Studio, export as COCO with images (painted: Brush labels to COCO)",
    "Roboflow": "in Roboflow, export the version as COCO Segmentation",
}
"""How to get a COCO export, which is read as it is unpacked, of the tools that give one."""

STEPS = {
    "COCO panoptic": "take the set's file of instances",
    "COCO results": "this is what a model found; put the file of the annotations there",
    "Datumaro": COCO_OF["CVAT"],
    "LabelMe": "convert it with labelme2coco of LabelMe's examples, and give the folder it writes",
    "VGG Image Annotator": "there, choose Export Annotations (COCO format), and put it in "
    "annotations/",
    "Supervisely": "there, run the app Export to COCO",
    "QuPath": "in QuPath, export label images with a LabeledImageServer and useInstanceLabels(), "
    "and put them in masks/, named as their images",
    "Label Studio": COCO_OF["Label Studio"],
    "CreateML": COCO_OF["Roboflow"],
}
"""What to do about a json of each kind."""

_YOLO = (
    "YOLO",
    f"export as COCO instead: {COCO_OF['Roboflow']}; {COCO_OF['CVAT']}; " + COCO_OF["Label Studio"],
)
_VOC = (
    "Pascal VOC",
    f"{COCO_OF['CVAT']}; of another tool, put JPEGImages in train/images and SegmentationObject "
    "in train/masks, with 0 where the border of 255 was",
)
_BOXES = "Pascal VOC", "boxes have no outlines to learn from; annotate polygons and export as COCO"
_ROIS = "ImageJ", "make label images of the ROIs and put them in masks/, named as their images"

SIGNS: tuple[tuple[str, bytes, tuple[str, str]], ...] = (
    ("annotations.xml", b"<annotations", ("CVAT", COCO_OF["CVAT"])),
    ("imgsFine", b"", ("CVAT's Cityscapes", COCO_OF["CVAT"])),
    ("SegmentationObject", b"", _VOC),
    ("SegmentationClass", b"", _VOC),
    ("Annotations/*.xml", b"<annotation", _BOXES),
    ("*.xml", b"<bndbox", _BOXES),
    (
        "*_seg.npy",
        b"",
        (
            "Cellpose",
            "it is a pickle, which is not opened: in Cellpose choose File > Save masks as PNG/tif, "
            "which writes X_cp_masks.png",
        ),
    ),
    (
        "task-*-annotation-*",
        b"",
        (
            "Label Studio",
            "it has a mask for each label, not for each object: " + COCO_OF["Label Studio"],
        ),
    ),
    ("_classes.csv", b"", ("Roboflow", f"masks of classes: {COCO_OF['Roboflow']}")),
    ("data.yaml", b"", _YOLO),
    ("obj.names", b"", _YOLO),
    ("labels/*.txt", b"", _YOLO),
    ("labels/*/*.txt", b"", _YOLO),
    ("*.tfrecord", b"", ("TFRecord", COCO_OF["Roboflow"])),
    ("*.geojson", b"", ("QuPath", STEPS["QuPath"])),
    ("*.roi", b"", _ROIS),
    ("*RoiSet*.zip", b"", _ROIS),
    ("*_rois.zip", b"", _ROIS),
    (
        "*_GT/SEG",
        b"",
        (
            "Cell Tracking Challenge",
            "put the images in train/images and SEG in train/masks, with equal names",
        ),
    ),
    ("*.zip", b"", ("an archive", "unpack it")),
    ("*.tar*", b"", ("an archive", "unpack it")),
    ("*.7z", b"", ("an archive", "unpack it")),
)
"""Of each layout: what lies there, how it begins (if that matters), its name and the next step."""

JSON_FILES = 3
"""Files of json that are looked at in a folder."""


def other_layout(root: Path) -> str | None:
    """What lies in a folder that is none of our layouts, and the step that is missing.

    A sentence that names the file at fault; None where nothing is recognised.
    """
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not is_hidden(f.name)]
    # What is sure comes first; the same sign may lie in the folder of a split, or one deeper.
    for place in (root, *folders[:20]):
        for file, name, step in (*_jsons(place), *_signs(place)):
            return f"{file} is {_of(name)}: {step}"
    return next(_renames(root, folders), None)


def about_json(file: Path) -> str | None:
    """What to do about a json of another kind than COCO's instances, if it is known."""
    kind = kind_of_json(file)
    return f"{file} is {_of(kind)}: {STEPS[kind]}" if kind in STEPS and kind else None


def _of(name: str) -> str:
    return name if name.startswith("an ") else f"of the layout of {name}, which is not read"


def _jsons(place: Path) -> Iterator[tuple[Path, str, str]]:
    for file in islice(_visible(place, "*.json"), JSON_FILES):
        kind = kind_of_json(file)
        if kind is not None and kind in STEPS:
            yield file, kind, STEPS[kind]


def _signs(place: Path) -> Iterator[tuple[Path, str, str]]:
    for pattern, start, (name, step) in SIGNS:
        for file in islice(_visible(place, pattern), 1):
            if not start or _begins_with(file, start):
                yield file, name, step


def _begins_with(file: Path, words: bytes) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return words in stream.read(4096)


def _visible(place: Path, pattern: str) -> Iterator[Path]:
    found = sorted(place.glob(pattern))
    return (file for file in found if not is_hidden(file.name))


def _renames(root: Path, folders: list[Path]) -> Iterator[str]:
    """Folders that have the right content under other names, or in another place."""
    if (root / "images" / "train").is_dir() and (root / "masks" / "train").is_dir():
        yield (
            f"{root / 'images' / 'train'} and {root / 'masks' / 'train'} are the other way round: "
            f"name them {root / 'train' / 'images'} and {root / 'train' / 'masks'}"
        )
    for place in (root, *folders):
        pair = _pair(place)
        if pair is not None:
            images, masks = pair
            yield (
                f"{masks} seems to hold the masks of {images}: name the two "
                f"{place / 'images'} and {place / 'masks'}"
            )


def _pair(place: Path) -> tuple[Path, Path] | None:
    """Two folders with images of the same stems, the second of them named as masks may be."""
    names = {
        f: {stem(name) for name in image_names(f)}
        for f in sorted(place.iterdir())
        if f.is_dir() and not is_hidden(f.name)
    }
    likely = ("mask", "label", "gt", "ground", "truth", "annot", "instance", "target", "seg")
    for masks, theirs in names.items():
        if not theirs or not any(word in masks.name.lower() for word in likely):
            continue
        for images, ours in names.items():
            if images != masks and 2 * len(ours & theirs) > len(ours):
                return images, masks
    return None

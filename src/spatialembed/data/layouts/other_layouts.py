"""Layouts that annotation tools write: whose a folder or json is, and what to do if it is not read.

Known by names and by words that only the files of one tool have; nothing is parsed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice, permutations
from pathlib import Path
from shlex import quote

from spatialembed.data.images.kinds import image_names
from spatialembed.files.names import is_hidden, stem

COCO = "COCO"

_LIST, _OBJECT = b"[", b"{"

KINDS: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    (_OBJECT, (b'"segments_info"', b'"images"', b'"annotations"'), "COCO panoptic"),
    (_OBJECT, (b'"images"', b'"annotations"', b'"categories"'), COCO),
    (_OBJECT, (b'"dm_format_version"',), "Datumaro"),
    (_OBJECT, (b'"items"', b'"categories"'), "Datumaro"),
    (_OBJECT, (b'"shapes"', b'"imagePath"'), "LabelMe"),
    (_OBJECT, (b'"_via_img_metadata"',), "VGG Image Annotator"),
    (_OBJECT, (b'"regions"', b'"shape_attributes"'), "VGG Image Annotator"),
    (_OBJECT, (b'"vid_list"', b'"fid_list"'), "VGG Image Annotator"),
    (_OBJECT, (b'"objects"', b'"geometryType"'), "Supervisely"),
    (_OBJECT, (b'"classes"', b'"projectType"'), "Supervisely"),
    (_OBJECT, (b'"FeatureCollection"', b'"geometry"'), "QuPath"),
    (_LIST, (b'"Feature"', b'"geometry"'), "QuPath"),
    (_LIST, (b'"image_id"', b'"category_id"', b'"score"'), "COCO results"),
    (_LIST, (b'"annotations"', b'"result"'), "Label Studio"),
    (_LIST, (b'"predictions"', b'"result"'), "Label Studio"),
    (_LIST, (b'"lead_time"',), "Label Studio"),
    (_LIST, (b'"annotations"', b'"coordinates"'), "CreateML"),
)
"""First character, words that are all there, and whose file it is; the first that fits."""


COCO_OF = {
    "CVAT": "in CVAT, export the task as COCO 1.0 with images",
    "Roboflow": "in Roboflow, export the version as COCO Segmentation",
}
"""How to get a COCO export, which is read as it is unpacked, of the tools that give one."""

CONVERT = "`spatialembed convert IN OUT` makes a data set of it that is"
"""What is to be done about what `convert` reads; IN is the folder."""

STEPS = {
    "COCO panoptic": "take the set's file of instances",
    "COCO results": "this is what a model found; put the file of the annotations there",
    "Datumaro": COCO_OF["CVAT"],
    "LabelMe": CONVERT,
    "VGG Image Annotator": CONVERT,
    "Supervisely": "there, run the app Export to COCO",
    "QuPath": "in QuPath, export label images with a LabeledImageServer and useInstanceLabels(), "
    "and put them in masks/, named as their images",
    "Label Studio": CONVERT,
    "CreateML": COCO_OF["Roboflow"],
}
"""What to do about a json of each kind."""

_YOLO = "YOLO", CONVERT
_VOC = (
    "Pascal VOC",
    f"{COCO_OF['CVAT']}; of another tool, put JPEGImages in train/images and SegmentationObject "
    "in train/masks, with 0 where the border of 255 was",
)
_BOXES = "Pascal VOC", "boxes have no outlines to learn from; annotate polygons and export as COCO"
_ROIS = "ImageJ", "make label images of the ROIs and put them in masks/, named as their images"
_LABELS = "it has a mask for each label, not for each object: "
_SEG = "put the images in train/images and SEG in train/masks, with equal names"

SIGNS = {
    "annotations.xml": ("CVAT", CONVERT),
    "imgsFine": ("CVAT's Cityscapes", COCO_OF["CVAT"]),
    "SegmentationObject": _VOC,
    "SegmentationClass": _VOC,
    "Annotations/*.xml": _BOXES,
    "*.xml": _BOXES,
    "*_seg.npy": ("Cellpose", CONVERT),
    # Not as COCO: of what was painted that fills holes, drops thin objects and parts others.
    "task-*-annotation-*": ("Label Studio", f"{_LABELS}export as JSON in its place; {CONVERT}"),
    "_classes.csv": ("Roboflow", f"masks of classes: {COCO_OF['Roboflow']}"),
    **dict.fromkeys(("data.yaml", "obj.names", "labels/*.txt", "labels/*/*.txt"), _YOLO),
    "*.tfrecord": ("TFRecord", COCO_OF["Roboflow"]),
    "*.geojson": ("QuPath", STEPS["QuPath"]),
    **dict.fromkeys(("*.roi", "*RoiSet*.zip", "*_rois.zip"), _ROIS),
    "*_GT/SEG": ("Cell Tracking Challenge", _SEG),
    **dict.fromkeys(("*.zip", "*.tar*", "*.7z"), ("an archive", "unpack it")),
}
"""What lies in a folder of each layout: its name and the next step; the first that is there."""

BEGINNINGS = {
    "annotations.xml": b"<annotations",
    "Annotations/*.xml": b"<annotation",
    "*.xml": b"<bndbox",
}
"""Words near the beginning without which such a file is no sign."""

WORDS_FOR_MASKS = ["mask", "label", "gt", "ground", "truth", "annot", "instance", "target", "seg"]
"""What is in the names of folders of masks, in lower case."""

JSON_FILES = 3
"""Files of json that are looked at in a folder."""


def other_layout(root: Path) -> str | None:
    """What lies in a folder that is none of our layouts, and the step that is missing.

    A sentence that names the file at fault; None where nothing is recognised.
    """
    return _of(root, _told(root))


def _told(root: Path) -> str | None:
    folders = _folders(root)
    # What is sure comes first; the same sign may lie in the folder of a split, or one deeper.
    for place in (root, *folders[:20]):
        jsons = islice(_visible(place, "*.json"), JSON_FILES)
        abouts = (about_json(file, root) for file in jsons)
        if told := next(filter(None, chain(abouts, _signs(place))), None):
            return told
    return next(_renames(root, folders), None)


def about_json(file: Path, root: Path) -> str | None:
    """What to do about a json of another kind than COCO's instances, if it is known.

    Args:
        file: the json.
        root: folder of the data set.
    """
    kind = kind_of_json(file)
    return None if kind is None or kind == COCO else _of(root, _sentence(file, kind, STEPS[kind]))


def _of(root: Path, told: str | None) -> str | None:
    """A sentence with the folder to convert."""
    return told.replace(" IN OUT`", f" {quote(str(root))} OUT`") if told else None


def _sentence(file: Path, name: str, step: str) -> str:
    whose = name if name.startswith("an ") else f"of the layout of {name}, which is not read"
    return f"{file} is {whose}: {step}"


def _signs(place: Path) -> Iterator[str]:
    for pattern, (name, step) in SIGNS.items():
        for file in islice(_visible(place, pattern), 1):
            if pattern not in BEGINNINGS or _begins_with(file, BEGINNINGS[pattern]):
                yield _sentence(file, name, step)


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
        names = {f: {stem(name) for name in image_names(f)} for f in _folders(place)}
        # Of a set with masks of several kinds the images are those in a folder called so.
        pairs = sorted(permutations(names, 2), key=lambda pair: "image" not in pair[1].name.lower())
        for masks, images in pairs:
            likely = any(word in masks.name.lower() for word in WORDS_FOR_MASKS) and names[masks]
            right = (masks.name, images.name) == ("masks", "images")
            if likely and not right and 2 * len(names[images] & names[masks]) > len(names[images]):
                yield (
                    f"{masks} seems to hold the masks of {images}: name the two "
                    f"{place / 'images'} and {place / 'masks'}"
                )


def _folders(place: Path) -> list[Path]:
    return [f for f in sorted(place.iterdir()) if f.is_dir() and not is_hidden(f.name)]


def kind_of_json(file: Path) -> str | None:
    """Whose json it is: "COCO" of instances, or another tool's; None where that is not known."""
    try:
        state = file.stat()
        return _kind(file, state.st_size, state.st_mtime_ns)
    except (OSError, ValueError):  # gone, or empty, which no file in memory can be
        return None


@lru_cache(maxsize=256)
def _kind(file: Path, _size: int, _modified: int) -> str | None:
    # Searched for words, not parsed: a json of a gigabyte takes minutes and ten times the memory.
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        first = text[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        for start, words, kind in KINDS:
            if first == start and all(text.find(word) >= 0 for word in words):
                return kind
    return None

"""What is said of a COCO json's annotations that are no plain objects: how many, why, what to do.

One sentence a kind, with a first example: an export that goes wrong does so thousands of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from spatialembed.data.annotations.coco_json import Annotation, Image, key
from spatialembed.data.annotations.drawn import Drawn, Kind, Sorted, has_box
from spatialembed.data.annotations.pixel_centers import runs_through_centers
from spatialembed.data.data_set import Problem

WORDS: dict[Kind, str] = {
    "crowd": "marked as crowds (iscrowd or ignore), so ignored; where they are single objects, as "
    "CVAT's brush, datumaro and supervision mark masks, --crowds objects takes those of iscrowd",
    "box": "only a box, which is ignored; outline the object",
    "shares": "outlined in shares of the image's size, from 0 to 1, so only the box is ignored; "
    "multiply x by the width and y by the height",
    "unknown": "of a category that is not listed, so ignored; add it to the categories",
    "line": "outlined by fewer than three corners, so without a pixel, and the box is ignored; "
    "is it a line or a box?",
    "outside": "outlined wholly outside of the image, so without a pixel, and the box is ignored; "
    "was it drawn in another resolution?",
    "flat": "outlined without a pixel inside, and the box is ignored; draw it anew or delete it",
    "hidden": "wholly beneath smaller ones, so neither taught nor scored; is it there twice?",
}
"""What becomes of annotations of a kind, the likely cause and the remedy."""

LOST: dict[Kind, str] = {
    "shares": "outlined in shares of the image's size, from 0 to 1; multiply x by the width and y "
    "by the height",
    "box": "no segmentation and no box; delete it",
}
"""The same of those that not even a box says the place of."""

SMALL = (
    "outlined through the centers of the border's pixels, going by the area stated, as supervision "
    "and OpenCV draw around masks, so half a pixel smaller all around; write masks as run lengths"
)


COVERED = (
    "partly beneath smaller ones, which take over a tenth of their pixels, so taught and scored "
    "as what is left; where these lie in them as nuclei in cells, each kind may be a target (label "
    "folders with a folder of masks for each), or be trained alone by --classes"
)
PREVALENT = 0.05
"""Share of the objects from which on that is said."""


def unplaced(each: Sorted) -> bool:
    """Whether nothing says where in the image an annotation is."""
    return each[1] in LOST and not has_box(each[0])


def at_sight(file: Path, rows: Sequence[Sorted]) -> list[Problem]:
    """What can be said of annotations before they are drawn; errors where one has no place.

    Args:
        file: the json.
        rows: its annotations of the classes that are taken.
    """
    found = _of_kinds(file, (each for each in rows if not unplaced(each)), len(rows))
    for kind, words in LOST.items():
        if lost := [each[0] for each in rows if each[1] == kind and unplaced(each)]:
            found.append(Problem(file, f"{_who(lost)}: {words}"))
    outlined = [each for each, kind in rows if kind == "object" and isinstance(each.outline, list)]
    small = [each for each in outlined if runs_through_centers(each)]
    if 2 * len(small) > len(outlined):  # of few it may be chance
        found.append(Problem(file, f"{_who(small, len(rows))}: {SMALL}", warning=True))
    return found


def once_drawn(file: Path, drawn: Iterable[Drawn]) -> list[Problem]:
    """What is seen of annotations only as pixels.

    Args:
        file: the json.
        drawn: its annotations; those of kinds that are known at sight are passed over.
    """
    late = ("line", "outside", "flat", "hidden")
    return _of_kinds(file, ((each.annotation, each.kind) for each in drawn if each.kind in late))


def partly_covered(file: Path, annotations: Sequence[Annotation], objects: int) -> list[Problem]:
    """A warning where many objects are covered in part.

    Args:
        file: the json.
        annotations: those that are.
        objects: how many there are in all.
    """
    if not annotations or len(annotations) < PREVALENT * objects:
        return []
    return [Problem(file, f"{_who(annotations, objects)}: {COVERED}", warning=True)]


def repeated(
    file: Path, images: Sequence[Image], annotations: Sequence[Annotation]
) -> list[Problem]:
    """Ids that are given twice: of images an error, since whose annotations are whose is lost."""
    found = []
    if numbers := _twice(key(image.id) for image in images):
        names = [image.file_name for image in images if key(image.id) == numbers[0]]
        message = (
            f"{_some(len(numbers), 'image id')} given twice, such as {numbers[0]} "
            f"({', '.join(names[:3])}), so whose the annotations are is not known; were two files "
            "pasted together? number the images anew"
        )
        found.append(Problem(file, message))
    if ids := _twice(each.id for each in annotations if each.id is not None):
        message = (
            f"{_some(len(ids), 'annotation id')} given twice, such as {ids[0]}; were two files "
            "pasted together? each is taken as one of its own"
        )
        found.append(Problem(file, message, warning=True))
    return found


def orphans(file: Path, annotations: Sequence[Annotation]) -> list[Problem]:
    """Annotations of images that are not there."""
    if not annotations:
        return []
    message = f"{_who(annotations)}, which is not listed; add the image or delete the annotation"
    return [Problem(file, message)]


def _of_kinds(file: Path, rows: Iterable[Sorted], of: int = 0) -> list[Problem]:
    found: dict[Kind, list[Annotation]] = {}
    for annotation, kind in rows:
        found.setdefault(kind, []).append(annotation)
    return [
        Problem(file, f"{_who(held, of)}: {WORDS[kind]}", warning=True)
        for kind, held in found.items()
        if kind != "object"
    ]


def _who(annotations: Sequence[Annotation], of: int = 0) -> str:
    """How many, with an example; ``of`` how many in all, where that is known."""
    first, count = annotations[0].name, len(annotations)
    if count == 1 and of < 2:
        return first
    share = f"{count} of {of}" if of else str(count)
    return f"{share} annotations, such as {first}"


def _some(count: int, noun: str) -> str:
    return f"{count} {noun} is" if count == 1 else f"{count} {noun}s are"


def _twice(ids: Iterable[str | None]) -> list[str | None]:
    return [each for each, count in Counter(ids).items() if count > 1]

"""What the file of a mask says otherwise than that of its image: voxels, pixels, planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.kinds import is_plane_folder
from spatialembed.data.images.pixel_size import known_pixel_size
from spatialembed.data.images.plane_folder import first_number
from spatialembed.data.images.reading import stack_spacing
from spatialembed.data.images.spacing import ALIKE, in_words
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.errors import UserError
from spatialembed.files.described import such


def mask_file_warnings(dataset: FileDataSet) -> Iterator[Problem]:
    """Warnings of masks of a label folder, which training takes to lie on their images' voxels.

    Nothing is decoded; of each kind the first is named, and how many there are.
    """
    if not isinstance(dataset, LabelFolder):
        return
    told: dict[str, list[Problem]] = {}
    for _, image, mask, _ in dataset.items:
        with suppress(UserError):  # which reading it raises, too
            about = _in_volume if dataset.dims == 3 else _in_image
            for kind, message in about(image, mask):
                told.setdefault(kind, []).append(Problem(mask, message, warning=True))
    for kind, found in told.items():
        message = f"{found[0].message}{such(found, 'masks')}: {kind}"
        yield replace(found[0], message=message)


def _in_image(image: Path, mask: Path) -> Iterator[tuple[str, str]]:
    """What to do, and a sentence before it."""
    size = known_pixel_size(image)
    own = None if size is None else known_pixel_size(mask)
    if size is not None and own is not None and _differ(size, own):
        said = " x ".join(f"{one:.3g}" for one in dict.fromkeys(own))
        of_image = " x ".join(f"{one:.3g}" for one in dict.fromkeys(size))
        yield _CORRECT, f"states pixels of {said} µm, its image {of_image}"


def _in_volume(image: Path, mask: Path) -> Iterator[tuple[str, str]]:
    if is_plane_folder(image) and is_plane_folder(mask):
        starts = first_number(mask), first_number(image)
        if starts[0] != starts[1]:
            yield _RENUMBER, "numbers its planes from {}, its image from {}".format(*starts)
    spacing, own = stack_spacing(image), stack_spacing(mask)
    if own is None:
        return
    if spacing is None:
        steps = " ".join(f"{step:.3g}" for step in own)
        yield (
            f"if that is right, give --spacing {steps}",
            f"states voxels of {in_words(own)}, its image does not",
        )
    elif _differ(spacing, own):
        yield _CORRECT, f"states voxels of {in_words(own)}, its image {in_words(spacing)}"


_RENUMBER = (
    "they are paired in their order; where they are not of one another, number them alike and "
    "remove what the other lacks"
)
_CORRECT = "the image's are taken; correct the one that is wrong, or a mask of another image"


def _differ(one: Sequence[float], other: Sequence[float]) -> bool:
    return any(abs(a / b - 1) > ALIKE for a, b in zip(one, other, strict=True))

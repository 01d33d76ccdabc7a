"""What a check says of volumes alone: how far voxels lie apart, and images among stacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spatialembed.data.checks.one_image import Look
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.reading import image_size, is_stack, stack_size, stated_shape
from spatialembed.data.images.spacing import ALIKE, Spacing, in_words, unlike
from spatialembed.errors import UserError
from spatialembed.files.described import such


def of_another_kind(dataset: FileDataSet, i: int) -> str | None:
    """A sentence on sample ``i``, where it is of images among volumes, or the other way round.

    Reading it fails, too, but not with what is to be done.
    """
    first, item = dataset.items[0].truth, dataset.items[i]
    remedy = "keep images and volumes in data sets of their own"
    if dataset.dims == 2:
        if is_stack(item.truth):
            return f"{item.truth} is a stack, the first mask {first} an image; {remedy}"
        return _no_stack(item.truth) if is_stack(item.image) else None
    if _is_image(item.truth):
        return f"{item.truth} is an image, the first mask {first} a stack; {remedy}"
    if _is_image(item.image):
        return (
            f"{item.image} is an image, its mask {item.truth} a stack; put the stack that the mask "
            "is of in its place, as one file"
        )
    return None


def _is_image(path: Path) -> bool:
    """Whether a file is an image and no stack, by the header alone; False of what is neither."""
    try:
        image_size(path)
    except UserError:
        return False
    return True


def _no_stack(mask: Path) -> str | None:
    """Why a stack's mask is none, where it has three axes: its planes are called otherwise."""
    with suppress(UserError):
        shape = stated_shape(mask)
        if shape is None or shape[2] == 1:
            return None
    try:
        stack_size(mask)
    except UserError as error:
        return str(error)
    return None


def other_dims(datasets: Sequence[FileDataSet]) -> Iterator[Problem]:
    """Splits of images where the first is of volumes, or the other way round."""
    filled = [dataset for dataset in datasets if len(dataset)]
    kinds = {2: "images", 3: "volumes"}
    for dataset in filled[1:]:
        if dataset.dims != filled[0].dims:
            message = (
                f"holds {kinds[dataset.dims]} in {dataset.split}, {kinds[filled[0].dims]} in "
                f"{filled[0].split}; keep images and volumes in data sets of their own"
            )
            yield Problem(dataset.root, message)


def spacing_warnings(looks: Mapping[str, Mapping[Path, Look]]) -> Iterator[Problem]:
    """What is to be said of the spacing of volumes, by split; nothing of images.

    What training refuses is no warning: training volumes of several proportions.
    """
    judged = next(iter(looks), "")
    stated = {s: {file: look.spacing for file, look in of.items()} for s, of in looks.items()}
    if not any(len(look.shape) == 3 for of in looks.values() for look in of.values()):
        return
    yield from _silent(stated[judged])
    known = {s: {f: one for f, one in of.items() if one is not None} for s, of in stated.items()}
    usual = next(((f, one) for of in known.values() for f, one in of.items()), None)
    if usual is not None:
        for split, files in known.items():
            yield from other_spacings(files, usual, split != judged)


def _silent(stated: Mapping[Path, Spacing | None]) -> Iterator[Problem]:
    silent = [file for file, spacing in stated.items() if spacing is None]
    if silent:
        message = (
            f"does not say how far its voxels lie apart{such(silent, 'volumes')}; training takes "
            + ("them for cubes" if len(silent) == len(stated) else "the others' distances")
            + ", or those of --spacing Z Y X"
        )
        yield Problem(silent[0], message, warning=True)


def other_spacings(
    files: Mapping[Path, Spacing], first: tuple[Path, Spacing], warning: bool
) -> Iterator[Problem]:
    """Of voxels of other proportions than the first, and of other sizes, one sentence each."""
    file, usual = first
    turned = [other for other, spacing in files.items() if unlike(spacing, usual)]
    scaled = [
        other
        for other, spacing in files.items()
        if other not in turned and abs(spacing[2] / usual[2] - 1) > ALIKE
    ]
    remedy = "train on each kind by itself, or resample them to one spacing"
    for found, is_warning, more in (
        (turned, warning, "" if warning else "; or give training one --spacing for all"),
        (scaled, True, ""),
    ):
        if found:
            message = (
                f"has voxels of {in_words(files[found[0]])}, {file} of {in_words(usual)}"
                f"{such(found, 'volumes')}; {remedy}{more}"
            )
            yield Problem(found[0], message, warning=is_warning)

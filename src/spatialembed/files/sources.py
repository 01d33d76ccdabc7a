"""Of which image results are: a label TIFF says it, so that they pass for those of no other one.

It stands in the tag DocumentName of TIFF 6.0. An image is the same where it holds the same bytes:
data may have been moved or copied between two runs. Of a folder that is one image these are the
bytes and names of all files in it. When a file was written is left out: results of the same data
would no longer be the same bytes.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

import tifffile

from spatialembed.errors import UserError

TAG = 269
"""DocumentName."""

UNKNOWN = (
    "the labels that are there do not say of which image they are (those of an earlier version, or "
    "changed since) and are kept: make sure that they are of this one, or add --overwrite"
)
"""What is said of an image whose results nobody knows to be its own."""

_AT_ONCE = 1 << 22
"""Bytes of a file that are read at a time."""


def source_of(
    image: Path | None,
    label_tiff: Path,
    class_names: Sequence[str] = (),
    classes: Sequence[int] = (),
) -> str | None:
    """What a label TIFF says of the image that its labels are of: JSON, in ASCII.

    Args:
        image: a file, or a folder that is one image; nothing is said of None.
        label_tiff: where the labels go.
        class_names: where they may be of several classes.
        classes: index of each label's class, from label 1 on.

    Raises:
        OSError: the image cannot be read.
    """
    if image is None:
        return None
    files = _files(image, label_tiff)
    content = {"bytes": _size(files), "crc32": _checksum(image, files)}
    kinds: dict[str, Any] = {}
    if len(class_names) > 1:
        kinds = {"class_names": [*class_names], "classes": [*classes]}
    return json.dumps({"image": _place(image, label_tiff), **content, **kinds})


def require_results(label_tiffs: Collection[Path], others: Iterable[Path]) -> None:
    """Refuse files of others where results of an image would go, or be removed.

    Args:
        label_tiffs: where its labels go.
        others: where what is written after them goes, which nobody knows without them.

    Raises:
        UserError: labels are there that do not say of which image they are, or others alone.
    """
    labels = [path for path in label_tiffs if path.is_file()]
    for path in filter(Path.is_file, others if not labels else ()):
        raise _no_result(path, "results")
    for path in labels:
        if not _told(path):
            raise _no_result(path, "labels")


def _no_result(path: Path, what: str) -> UserError:
    return UserError(
        f"{path}, where {what} would go, is there and no result of predict; choose another --out"
    )


def doubts(label_tiffs: Iterable[Path]) -> tuple[str, ...]:
    """What there is to say of an image's label TIFFs that do not say of which image they are."""
    unknown = any(path.is_file() and not _told(path) for path in label_tiffs)
    return (UNKNOWN,) if unknown else ()


def image_of(label_tiff: Path) -> str | None:
    """The image that a label TIFF says its labels are of; None where it says nothing."""
    return _told(label_tiff).get("image")


def classes_in(label_tiff: Path) -> list[str] | None:
    """The class of each label from 1 on, as a label TIFF says it; None where all are of one, or it
    says nothing.

    Raises:
        UserError: it says something else.
    """
    told = _told(label_tiff)
    if "classes" not in told:
        return None
    try:
        return [told["class_names"][kind] for kind in told["classes"]]
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{label_tiff} says no classes of its labels; predict it again") from error


def found_in(file: Path) -> str | None:
    """The image that a file in a folder of results is a result of: labels, the overlay beside them,
    or Cityscapes' mask of an instance, which knows its name alone; None of other files."""
    if file.suffix == ".tif":
        return image_of(file)
    if file.stem.endswith("_overlay"):
        name = escape(file.stem.removesuffix("_overlay"))
        beside = (*file.parent.glob(f"{name}.tif"), *file.parent.glob(f"{name}_*.tif"))
        return next(filter(None, map(image_of, beside)), None)  # of several targets name_TARGET.tif
    name = file.stem.rpartition("_")[0]
    is_mask = file.parent.name == "masks" and (file.parent.parent / f"{name}.txt").is_file()
    return name if is_mask else None


def require_sources(results: Iterable[tuple[Path, Path]], remedy: str) -> None:
    """Refuse label TIFFs that are there and say that they are of another image.

    Those that say nothing, as of earlier versions, pass: see :func:`doubts`.

    Args:
        results: label TIFFs, each with the image that it is to be of.
        remedy: what to do about one that is of another.

    Raises:
        UserError: one is of another, or its image changed.
    """
    others = [(label_tiff, image) for label_tiff, image in results if _is_other(label_tiff, image)]
    if not others:
        return
    label_tiff, image = others[0]
    before = _told(label_tiff)["image"]
    what = (
        f"{label_tiff} was made of {image} before that changed"
        if before == _place(image, label_tiff)
        else f"{label_tiff} holds the results of another image, {before}, not of {image}"
    )
    images = len({image for _, image in others})  # of several targets each has a label TIFF
    more = f" (so it is with {images - 1} more)" if images > 1 else ""
    raise UserError(f"{what}{more}; {remedy}")


def _is_other(label_tiff: Path, image: Path) -> bool:
    before = _told(label_tiff)
    if not before or not image.exists():  # what is gone is said when it is read
        return False
    files = _files(image, label_tiff)
    return bool(before["bytes"] != _size(files) or before["crc32"] != _checksum(image, files))


def _files(image: Path, label_tiff: Path) -> list[Path]:
    """An image's file, or those in its folder, but results that may lie in there, too."""
    if not image.is_dir():
        return [image]
    whole, results = image.resolve(), label_tiff.parent.resolve()
    there = sorted(path for path in whole.rglob("*") if path.is_file())
    return [path for path in there if results not in path.parents or results in whole.parents]


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _told(label_tiff: Path) -> dict[str, Any]:
    """What it says of its image; nothing where there is no such file, or it is none of ours."""
    with suppress(Exception):  # of a broken file tifffile's own are of no common kind
        with tifffile.TiffFile(label_tiff) as file:
            told = json.loads(file.pages.first.tags[TAG].value)
        if isinstance(told, dict) and {"image", "bytes", "crc32"} <= told.keys():
            return told
    return {}


def _place(image: Path, label_tiff: Path) -> str:
    whole = image.resolve()
    try:
        return Path(os.path.relpath(whole, label_tiff.parent.resolve())).as_posix()
    except ValueError:  # another drive
        return whole.as_posix()


def _checksum(image: Path, files: Iterable[Path]) -> int:
    found = 0
    for path in files:
        if path != image:
            found = zlib.crc32(path.relative_to(image.resolve()).as_posix().encode(), found)
        with path.open("rb") as file:
            while part := file.read(_AT_ONCE):
                found = zlib.crc32(part, found)
    return found

"""The kinds of file that hold what was found in an image, where they lie and what they take."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from spatialembed.errors import UserError, missing_extra

Format = Literal["cityscapes", "coco", "geojson", "imagej", "measurements", "meshes"]

PLACES = {
    "cityscapes": "cityscapes/{}.txt",
    "coco": "coco/{}.json",
    "geojson": "{}.geojson",
    "imagej": "{}_rois.zip",
    "measurements": "{}.csv",
    "meshes": "{}.obj",
    "picture": "{}_overlay.png",
    "labels": "{}.tif",
}
"""Where the results of an image of that name are; labels, written first, say of which."""

COCO_FILES = "coco_results.json", "coco_images.json"
"""Of all images together."""

OF_ALL_TARGETS = "picture", "geojson"
"""What is of several targets together; of other kinds each has its own."""

OF_ONE_TARGET = "cityscapes", "coco"
"""Formats that several targets, whose objects overlap, are not written in."""

OF_ONE_KIND = {"cityscapes": 2, "coco": 2, "meshes": 3}
"""Formats that hold what was found in images alone, or in volumes, by their axes."""

LIBRARIES = {
    "geojson": ["skimage"],
    "imagej": ["skimage", "roifile"],
    "measurements": ["skimage"],
    "meshes": ["skimage"],
}
"""What formats need beyond the core."""


def require_format(name: str) -> None:
    """Raise a UserError of an unknown format, or one whose extra is missing."""
    if name not in get_args(Format):
        raise UserError(
            f"format is one of {', '.join(get_args(Format))}, not {name!r}; spaces separate several"
        )
    for library in LIBRARIES.get(name, ()):
        if find_spec(library) is None:
            raise missing_extra(f"format {name}", "formats")


def require_kind(name: str, dims: int) -> None:
    """Raise a UserError of a format that does not hold what was found in images, or in volumes."""
    if OF_ONE_KIND.get(name, dims) != dims:
        others = [other for other in get_args(Format) if OF_ONE_KIND.get(other, dims) == dims]
        raise UserError(
            f"format {name} is of {'volumes' if dims == 2 else 'images'}; leave it out: of "
            f"{'images' if dims == 2 else 'stacks'} there are label TIFFs and {', '.join(others)}"
        )


def images_of(label_tiffs: Iterable[Path], targets: Collection[str]) -> set[str]:
    """Images that label TIFFs are of, by their names: of several targets each image has several."""
    names = {str(path.with_suffix("")) for path in label_tiffs}
    return {
        next((n.removesuffix(f"_{t}") for t in targets if n.endswith(f"_{t}")), n) for n in names
    }

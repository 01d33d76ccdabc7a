"""What prediction writes for an image: label TIFF, overlay, and further formats."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from spatialembed.data.layouts.cityscapes import LABEL_IDS
from spatialembed.errors import UserError, missing_extra
from spatialembed.files.writing import atomic_write
from spatialembed.formats.coco_ids import annotated_ids, numbered
from spatialembed.formats.measurements import write_measurements
from spatialembed.formats.outlines import geojson, write_imagej_rois
from spatialembed.formats.read_back import SETTINGS_FILE, rows_of, settings_of
from spatialembed.formats.results import coco_results, save_label_tiff, write_cityscapes_results
from spatialembed.pictures import overlay, save_picture

if TYPE_CHECKING:
    from spatialembed.instances import Instances

Format = Literal["cityscapes", "coco", "geojson", "imagej", "measurements"]

ENDS = {"geojson": ".geojson", "imagej": "_rois.zip", "measurements": ".csv"}
"""How the names of formats of one file an image end."""

COCO_FILES = "coco_results.json", "coco_images.json"
"""Of all images together."""

LIBRARIES = {
    "geojson": ("skimage",),
    "imagej": ("skimage", "roifile"),
    "measurements": ("skimage",),
}
"""What formats need beyond the core."""


@dataclass(frozen=True)
class Results:
    """The results of a set of images below one folder.

    An image called ``a/b`` has its labels in ``a/b.tif`` (0 background, then instances from 1 in
    order of score), its picture in ``a/b_overlay.png``, and, where asked for, its instances in
    ``cityscapes/a/b.txt`` with mask files beside it, as rows of ``coco_results.json``, as polygons
    in ``a/b.geojson`` (QuPath) and ``a/b_rois.zip`` (ImageJ), or as a table in ``a/b.csv``.

    Args:
        out: the folder, made if it is not there.
        formats: further formats: "cityscapes", "coco", "geojson", "imagej", "measurements".
        pictures: whether overlays are written.
        annotations: a COCO json whose image and category ids the COCO results take; None numbers
            images and categories from 1 and says so in ``coco_images.json``.

    Raises:
        UserError: an unknown format or one whose extra is missing, or annotations that cannot be
            read.
    """

    out: Path
    formats: Collection[str] = ()
    pictures: bool = True
    annotations: Path | None = None

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in get_args(Format):
                raise UserError(
                    f"format is one of {', '.join(get_args(Format))}, not {name!r}; spaces "
                    "separate several"
                )
            for library in LIBRARIES.get(name, ()):
                if find_spec(library) is None:
                    raise missing_extra(f"format {name}", "formats")
        if self.annotations is not None and "coco" not in self.formats:
            raise UserError("annotations are for COCO results; add format coco")
        if self.annotations is not None:
            annotated_ids(self.annotations)

    def require(self, class_names: Sequence[str], names: Iterable[str] = ()) -> None:
        """Refuse classes that the format does not have, and images that annotations lack.

        Raises:
            UserError: a class that Cityscapes does not have, for its results, or annotations that
                cannot be read, or lack a class or one of the images of these names.
        """
        if "cityscapes" in self.formats:
            cityscapes_ids(class_names)
        if self.annotations is not None:
            annotated_ids(self.annotations).require(names, class_names)

    def paths(self, name: str) -> tuple[Path, ...]:
        """Every file that must be there for an image of that name to be done."""
        return self._paths(name, self.formats, self.pictures)

    def has(self, name: str) -> bool:
        """Whether the results of an image are there."""
        return all(path.is_file() for path in self.paths(name))

    def write(self, name: str, image: np.ndarray, found: Instances, overwrite: bool = True) -> None:
        """Write the results of one image (H, W, C); each file appears whole or not at all.

        Where files are replaced, those of formats that are not written this time are removed.

        Args:
            name: of the image.
            image: its pixels.
            found: its instances.
            overwrite: replace files that are there; else only what is missing is written.

        Raises:
            UserError: a file cannot be written, a class is none of Cityscapes', or the annotations
                have another size of the image.
        """
        if self.annotations is not None:
            annotated_ids(self.annotations).require_size(name, found.label_map.shape)
        paths = self.paths(name)
        todo = {path for path in paths if overwrite or not path.is_file()}
        if overwrite:
            self._remove(set(self._paths(name, get_args(Format), pictures=True)) - todo)
        if self.out / "cityscapes" / f"{name}.txt" in todo:
            target = self.out / "cityscapes" / name
            write_cityscapes_results(
                target.parent, target.name, found, cityscapes_ids(found.class_names)
            )
        if self._rows_path(name) in todo:
            ids = {kind: index + 1 for index, kind in enumerate(found.class_names)}
            rows = coco_results(found, 0, ids)
            height, width = found.label_map.shape
            content = {"height": height, "width": width, "categories": ids, "rows": rows}
            _write_json(self._rows_path(name), content)
        if (path := self.out / f"{name}{ENDS['geojson']}") in todo:
            _write_json(path, geojson(found))
        if (path := self.out / f"{name}{ENDS['imagej']}") in todo:
            write_imagej_rois(path, found)
        if (path := self.out / f"{name}{ENDS['measurements']}") in todo:
            write_measurements(path, found, image)
        if (path := self.out / f"{name}_overlay.png") in todo:
            save_picture(path, overlay(image, found.label_map))
        if (path := self.out / f"{name}.tif") in todo:
            save_label_tiff(path, found.label_map)

    def agree(self, settings: dict[str, Any], overwrite: bool, names: Collection[str]) -> None:
        """Keep what the results are made with, so that a folder never mixes two settings.

        Where settings are replaced, what was made with the former ones is removed first, so that
        a run that is interrupted and goes on does not keep it.

        Args:
            settings: of model and clustering, as JSON has them.
            overwrite: take these settings from now on, whatever there was.
            names: of the images whose results are asked for.

        Raises:
            UserError: results that are there were made with others, and are not to be overwritten
                or are of other images.
        """
        path = self.out / SETTINGS_FILE
        there = (file for file in self.out.rglob("*.tif") if not file.name.startswith("."))
        first = next(there, None)  # settings of a run that wrote nothing bind no other
        before = settings if first is None else settings_of(self.out, settings)
        other = [key for key in settings if settings[key] != before.get(key)]
        if other:
            told = ", ".join(f"{key} {before.get(key)} (now {settings[key]})" for key in other)
            if not overwrite:
                raise UserError(
                    f"results in {self.out} were made with {told}; add --overwrite to replace "
                    "them, or choose another --out"
                )
            labels = {self.out / f"{name}.tif" for name in names}
            if kept := [file for file in (first, *there) if file not in labels]:
                raise UserError(
                    f"{self.out} also holds results of {len(kept)} images that are not given, "
                    f"such as {kept[0]}, made with {told}; give their images too, or choose "
                    "another --out"
                )
            for name in names:
                self._remove(self._paths(name, get_args(Format), pictures=True))
        _write_json(path, settings)
        if overwrite and "coco" not in self.formats:
            self._remove(self.out / name for name in COCO_FILES)

    def gather(self, names: Sequence[str]) -> Path | None:
        """Put the rows of all images of the folder into one COCO file, and say where it is.

        Args:
            names: of the images that annotations must have; others of the folder may lack there.

        Raises:
            UserError: the annotations lack one of these images or a category of the results.
        """
        if "coco" not in self.formats:
            return None
        folder = self.out / "coco"
        there = (path for path in sorted(folder.rglob("*.json")) if not path.name.startswith("."))
        held = {
            path.relative_to(folder).with_suffix("").as_posix(): rows_of(path) for path in there
        }
        ids, listed = (
            numbered(held) if self.annotations is None else (annotated_ids(self.annotations), None)
        )
        asked = set(names)
        held = {n: each for n, each in held.items() if n in asked or ids.image(n) is not None}
        ids.require(held, {kind for result in held.values() for kind in result["categories"]})
        rows: list[dict[str, Any]] = []
        for name, result in held.items():
            kinds = {index: ids.categories[kind] for kind, index in result["categories"].items()}
            rows += [
                {
                    "image_id": ids.image(name),
                    "category_id": kinds[row["category_id"]],
                    "score": row["score"],
                    "segmentation": row["segmentation"],
                }
                for row in result["rows"]
            ]
        if listed is not None:
            _write_json(self.out / COCO_FILES[1], listed)
        _write_json(self.out / COCO_FILES[0], rows)
        return self.out / COCO_FILES[0]

    def _paths(self, name: str, formats: Collection[str], pictures: bool) -> tuple[Path, ...]:
        paths = [self.out / f"{name}.tif"]
        if pictures:
            paths.append(self.out / f"{name}_overlay.png")
        if "cityscapes" in formats:
            paths.append(self.out / "cityscapes" / f"{name}.txt")
        if "coco" in formats:
            paths.append(self._rows_path(name))
        paths += [self.out / f"{name}{end}" for kind, end in ENDS.items() if kind in formats]
        return tuple(paths)

    @staticmethod
    def _remove(paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def _rows_path(self, name: str) -> Path:
        return self.out / "coco" / f"{name}.json"


def cityscapes_ids(class_names: Sequence[str]) -> dict[str, int]:
    """Cityscapes' label ids of these classes.

    Raises:
        UserError: a class that Cityscapes does not have.
    """
    unknown = [name for name in class_names if name not in LABEL_IDS]
    if unknown:
        raise UserError(
            f"Cityscapes has no class {', '.join(map(repr, unknown))}; "
            "write label or COCO results for this model"
        )
    return {name: LABEL_IDS[name] for name in class_names}


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")

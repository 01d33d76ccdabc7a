"""What prediction writes for an image: label TIFF, overlay, and further formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialembed.errors import UserError
from spatialembed.files.names import SETTINGS_FILE
from spatialembed.files.sources import require_results, source_of
from spatialembed.files.writing import write_json
from spatialembed.formats.cityscapes_results import cityscapes_ids, write_cityscapes_results
from spatialembed.formats.coco_ids import annotated_ids, numbered
from spatialembed.formats.coco_results import image_part, read_part
from spatialembed.formats.kinds import (
    COCO_FILES,
    OF_ALL_TARGETS,
    OF_ONE_TARGET,
    PLACES,
    images_of,
    require_format,
    require_kind,
)
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.measurements import write_measurements
from spatialembed.formats.meshes import write_meshes
from spatialembed.formats.outlines import geojson, write_imagej_rois
from spatialembed.formats.settings_file import differences, in_short, settings_in
from spatialembed.pictures import overlay, save_picture
from spatialembed.pictures.overlays import projected

if TYPE_CHECKING:
    from spatialembed.instances import Instances


@dataclass(frozen=True)
class Results:
    """The results of a set of images below one folder.

    An image called ``a/b`` has its labels in ``a/b.tif`` (0 background, then instances from 1 in
    order of score), its picture in ``a/b_overlay.png``, and, where asked for, its instances in
    ``cityscapes/a/b.txt`` with mask files beside it, as rows of ``coco_results.json``, as polygons
    in ``a/b.geojson`` (QuPath) and ``a/b_rois.zip`` (ImageJ), as a table in ``a/b.csv``, or as
    surfaces in ``a/b.obj``. Of several targets each has such files of its own, ``a/b_cells.tif``,
    but for picture and GeoJSON, which hold all.

    Args:
        out: the folder, made if it is not there.
        formats: further formats: those of :data:`Format`.
        pictures: whether overlays are written.
        annotations: a COCO json whose image and category ids the COCO results take; None numbers
            images and categories from 1 and says so in ``coco_images.json``.
        targets: names of several, the largest objects first; none of one.

    Raises:
        UserError: an unknown format or one whose extra is missing, or annotations that cannot be
            read.
    """

    out: Path
    formats: Collection[str] = ()
    pictures: bool = True
    annotations: Path | None = None
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.formats:
            require_format(name)
        if self.annotations is not None and "coco" not in self.formats:
            raise UserError(
                "annotations are for COCO results, which are of images: add format coco, or of "
                "stacks leave them out"
            )
        if self.annotations is not None:
            annotated_ids(self.annotations)

    def require(self, class_names: Sequence[str], names: Iterable[str] = (), dims: int = 2) -> None:
        """Refuse classes that the format does not have, and images that annotations lack.

        Args:
            class_names: of the instances.
            names: of the images.
            dims: spatial axes of these.

        Raises:
            UserError: a format that such do not have, a class that Cityscapes does not have,
                for its results, or annotations that cannot be read, or lack a class or one of the
                images of these names.
        """
        for name in self.formats:
            require_kind(name, dims)
            if self.targets and name in OF_ONE_TARGET:
                raise UserError(
                    f"format {name} is of one target, the model finds "
                    f"{' and '.join(self.targets)}: leave it out; label TIFFs, geojson, imagej and "
                    "measurements hold several"
                )
        if "cityscapes" in self.formats:
            cityscapes_ids(class_names)
        if self.annotations is not None:
            annotated_ids(self.annotations).require(names, class_names)

    def has(self, name: str) -> bool:
        """Whether every file of an image's results is there."""
        return all(path.is_file() for kind in self.kinds for path in self.paths(kind, name))

    def write(
        self,
        name: str,
        image: np.ndarray,
        found: Instances,
        overwrite: bool = True,
        spacing: tuple[float, ...] | None = None,
        columns: Mapping[str, Sequence[object]] | None = None,
        source: Path | None = None,
    ) -> None:
        """Write the results of one image (H, W, C); each file appears whole or not at all.

        Of a stack (Z, H, W, C) labels are written, and a picture of it seen along z.

        Where files are replaced, all but the labels are removed before, whatever their format.

        Args:
            name: of the image.
            image: its pixels.
            found: its instances.
            overwrite: replace files that are there; else only what is missing is written.
            spacing: micrometres between pixels along (y, x), of a stack (z, y, x), where known.
            columns: further ones of the measurements, of one value an instance.
            source: file or folder of the image, which the label TIFF says.

        Raises:
            UserError: a file cannot be written, a class is none of Cityscapes', or the annotations
                have another size of the image.
        """
        if self.annotations is not None:
            annotated_ids(self.annotations).require_size(name, found.label_map.shape)
        if overwrite:
            self.tidy(name)
        self.write_files(name, image, found, overwrite, spacing, columns, source)

    def tidy(self, name: str) -> None:
        """Remove what an earlier run wrote of an image beside its labels, which are replaced."""
        self._remove(name, PLACES.keys() - {"labels"})

    def write_files(
        self,
        name: str,
        image: np.ndarray,
        found: Instances,
        overwrite: bool,
        spacing: tuple[float, ...] | None,
        columns: Mapping[str, Sequence[object]] | None,
        source: Path | None = None,
    ) -> None:
        """:meth:`write` without removing anything."""
        suffix, kinds = source.suffix if source else "", (found.class_names, found.classes.tolist())
        writers: dict[str, Callable[[Path], object]] = {  # first what says of which image all are
            "labels": lambda path: save_label_tiff(
                path, found.label_map, spacing, source=source_of(source, path, *kinds)
            ),
            "cityscapes": lambda path: write_cityscapes_results(
                path.parent, path.stem, found, cityscapes_ids(found.class_names)
            ),
            "coco": lambda path: write_json(path, image_part(found, suffix)),
            "geojson": lambda path: write_json(path, geojson(found)),
            "imagej": lambda path: write_imagej_rois(path, found, image.shape[-1]),
            "measurements": lambda path: write_measurements(path, found, image, spacing, columns),
            "meshes": lambda path: write_meshes(path, found, spacing),
            "picture": lambda path: save_picture(path, overlay(*_flat(image, found.label_map))),
        }
        for kind, write in writers.items():
            [path] = self.paths(kind, name)
            if kind in self.kinds and (overwrite or not path.is_file()):
                write(path)

    def agree(
        self,
        settings: dict[str, Any],
        overwrite: bool,
        names: Collection[str],
        alone: bool = True,
    ) -> None:
        """Keep what the results are made with, so that a folder never mixes two settings.

        Where settings are replaced, what was made with the former ones is removed first, so that
        a run that is interrupted and goes on does not keep it.

        Args:
            settings: of model and clustering, as JSON has them.
            overwrite: take these settings from now on, whatever there was.
            names: of the images whose results are asked for.
            alone: whether no other run is at work in the folder.

        Raises:
            UserError: results that are there were made with others, and are not to be overwritten
                or are of other images, or another run is making them; or a file is none of them.
        """
        there = self.label_tiffs()
        first = next(there, None)  # settings of a run that wrote nothing bind no other
        if not (self.out / SETTINGS_FILE).is_file():
            for name in names:
                others = [path for kind in PLACES for path in self.paths(kind, name)]
                require_results(self.paths("labels", name), others)
            require_results([], [self.out / name for name in COCO_FILES if first is None])
        held = settings_in(self.out, settings)
        if told := in_short(differences(settings if first is None and alone else held, settings)):
            if not alone:
                raise UserError(
                    f"another run with {told} is at work in {self.out}; wait until it ends, or "
                    "choose another --out"
                )
            if not overwrite:
                raise UserError(
                    f"results in {self.out} were made with {told}; add --overwrite to replace "
                    "them, or choose another --out"
                )
            targets = held.get("targets")  # by which its files are named
            former = replace(self, targets=tuple(targets) if isinstance(targets, dict) else ())
            labels = {path for name in names for path in former.paths("labels", name)}
            if kept := [file for file in (first, *there) if file and file not in labels]:
                images = len(images_of(kept, former.targets))
                raise UserError(
                    f"{self.out} also holds results of {images} images that are not given, "
                    f"such as {kept[0]}, made with {told}; give their images too, or choose "
                    "another --out"
                )
            for name in names:
                former._remove(name, PLACES)
        write_json(self.out / SETTINGS_FILE, settings)
        if overwrite and "coco" not in self.formats:
            for name in COCO_FILES:
                (self.out / name).unlink(missing_ok=True)

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
            path.relative_to(folder).with_suffix("").as_posix(): read_part(path) for path in there
        }
        if not held:
            for name in COCO_FILES:
                (self.out / name).unlink(missing_ok=True)
            return None
        ids, listed = (
            numbered(held) if self.annotations is None else (annotated_ids(self.annotations), None)
        )
        asked = set(names)
        held = {n: part for n, part in held.items() if n in asked or ids.image(n) is not None}
        ids.require(held, {kind for part in held.values() for kind in part["categories"]})
        rows: list[dict[str, Any]] = []
        for name, part in held.items():
            kinds = {index: ids.categories[kind] for kind, index in part["categories"].items()}
            rows += [
                {**row, "image_id": ids.image(name), "category_id": kinds[row["category_id"]]}
                for row in part["rows"]
            ]
        if listed is not None:
            write_json(self.out / COCO_FILES[1], listed)
        write_json(self.out / COCO_FILES[0], rows)
        return self.out / COCO_FILES[0]

    @property
    def kinds(self) -> set[str]:
        """What is written of an image, of :data:`PLACES`."""
        return {*self.formats, "labels", *["picture"] * self.pictures}

    def paths(self, kind: str, name: str) -> list[Path]:
        """The file of that kind of an image, or where each target has its own those of all."""
        own = self.targets and kind not in OF_ALL_TARGETS
        names = [f"{name}_{target}" for target in self.targets] if own else [name]
        return [self.out / PLACES[kind].format(one) for one in names]

    def label_tiffs(self) -> Iterator[Path]:
        """Label TIFFs of the folder, of any image."""
        return (file for file in self.out.rglob("*.tif") if not file.name.startswith("."))

    def _remove(self, name: str, kinds: Iterable[str]) -> None:
        for kind in kinds:
            for path in self.paths(kind, name):
                path.unlink(missing_ok=True)


def _flat(image: np.ndarray, label_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn: an image as it is, a stack seen along z."""
    return (image, label_map) if image.ndim == 3 else projected(image, label_map)

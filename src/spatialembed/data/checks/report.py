"""The report of a check: what each split holds, in words and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.data.checks.one_image import Look
from spatialembed.data.checks.volume_report import (
    Extents,
    extent_lines,
    extents_of,
    spacing_words,
)
from spatialembed.data.crops.cropper import empty_share
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.spacing import Spacing
from spatialembed.data.volume_objects import plane_diameters
from spatialembed.files.described import some

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles of the objects' areas that a report gives."""


@dataclass(frozen=True)
class SplitReport:
    """What one split holds, of the images or volumes that could be read.

    Attributes:
        split: "train", "val" or "test".
        images: readable images with readable truth.
        images_without_objects: how many of them have no object of the classes.
        objects: number of objects of every class.
        sizes, channels, dtypes: images by (width, height), by channels and by stored type;
            volumes by (width, height, depth).
        area_quantiles: pixels of the objects at :data:`QUANTILES`; empty without objects.
        median_diameter: pixels, of the disc of an object's area, or in its planes that of an
            ellipsoid of its voxels; None without objects.
        ignored: share of all pixels that is ignored, 0 to 1.
        pixel_sizes: images by the micrometres that their pixels are wide, None where that is not
            stated; empty where no file states it, and for volumes.
        spacings: volumes by their spacing, None where it is not stated; empty for images.
        extents, extents_um: how far the objects of volumes reach in voxels, and in micrometres
            where all volumes state their spacing; empty for images.
    """

    split: str
    images: int
    images_without_objects: int
    objects: dict[str, int]
    sizes: dict[tuple[int, ...], int]
    channels: dict[int, int]
    dtypes: dict[str, int]
    area_quantiles: tuple[float, ...]
    median_diameter: float | None
    ignored: float
    pixel_sizes: dict[float | None, int] = field(default_factory=dict)
    spacings: dict[Spacing | None, int] = field(default_factory=dict)
    extents: Extents = field(default_factory=dict)
    extents_um: Extents = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """What it holds, one of them."""
        return "volume" if self.spacings else "image"

    def lines(self) -> Iterator[str]:
        """The report in words, a line each."""
        yield f"{self.split}: {some(self.images, self.noun)}, {_objects(self.objects)}"
        if not self.images:
            return
        sides = list(zip(*self.sizes, strict=True))
        least, most = ("x".join(str(of(side)) for side in sides) for of in (min, max))
        points = "voxels" if self.spacings else "pixels"
        sizes = least if least == most else f"{least} to {most}"
        channels = ", ".join(some(n, "channel") for n in self.channels)
        yield f"  {sizes} {points}, {channels}, {', '.join(self.dtypes)}"
        if self.pixel_sizes:
            yield f"  pixel size {_sizes(self.pixel_sizes)}"
        if self.spacings:
            yield f"  spacing {spacing_words(self.spacings)}"
        if self.median_diameter is not None:
            low, middle, high = (self.area_quantiles[QUANTILES.index(q)] for q in (0.05, 0.5, 0.95))
            yield (
                f"  objects of {middle:.0f} {points} (90 % between {low:.0f} and {high:.0f}), "
                f"median diameter {self.median_diameter:.1f} pixels"
            )
        for line in extent_lines(self.extents, self.extents_um):
            yield f"  {line}"
        if self.images_without_objects:
            empty = some(self.images_without_objects, self.noun)
            yield f"  {empty} without an object{self._shown()}"
        if self.ignored:
            yield f"  {self.ignored:.1%} of the {points} ignored"

    def _shown(self) -> str:
        """How many crops show images without an object, if any does."""
        if self.split != "train" or self.images_without_objects == self.images:
            return ""
        share = 100 * empty_share(self.images_without_objects, self.images)
        return f": {share:.3g} % of the crops show them, where a recipe has no background_share"


def split_report(dataset: FileDataSet, looks: Sequence[Look]) -> SplitReport:
    """What a split holds, by what was seen of its images."""
    is_volume = dataset.dims == 3
    none = np.zeros((0, 9 if is_volume else 7), np.int32)
    table = np.concatenate([none, *(look.objects for look in looks)])
    counts = np.bincount(table[:, 1], minlength=len(dataset.class_names))
    area = table[:, -1]
    pixels = sum(math.prod(look.shape) for look in looks)
    sides = Counter(look.side for look in looks)
    extents, extents_um = extents_of(looks) if is_volume else ({}, {})
    return SplitReport(
        split=dataset.split,
        images=len(looks),
        images_without_objects=sum(not len(look.objects) for look in looks),
        objects={name: int(n) for name, n in zip(dataset.class_names, counts, strict=True)},
        sizes=dict(Counter(look.shape[::-1] for look in looks)),
        channels=dict(Counter(look.channels for look in looks)),
        dtypes=dict(Counter(str(look.dtype) for look in looks)),
        area_quantiles=tuple(map(float, np.quantile(area, QUANTILES))) if len(area) else (),
        median_diameter=_median_diameter(table) if len(area) else None,
        ignored=sum(look.ignored for look in looks) / max(pixels, 1),
        pixel_sizes=dict(sides) if set(sides) - {None} else {},
        spacings=dict(Counter(look.spacing for look in looks)) if is_volume else {},
        extents=extents,
        extents_um=extents_um,
    )


def _median_diameter(table: np.ndarray) -> float:
    """Pixels, of (n, 7) objects of images or (n, 9) of volumes."""
    if table.shape[1] == 7:
        return float(np.sqrt(np.median(table[:, -1]) * 4 / np.pi))
    return float(np.median(plane_diameters(table[:, -1], table[:, 5] - table[:, 2])))


@dataclass(frozen=True)
class Report:
    """What a data set holds and what is wrong with it.

    Attributes:
        path: the data set's folder.
        layout: "Cityscapes", "Coco", "LabelFolder" or "Targets"; None where none was recognized.
        class_names: the classes looked at.
        splits: one report a split, of several targets those of each; a "val" held out of train is
            one too.
        problems: everything that is wrong, warnings included, in the order it was found.
        notes: what was not looked at.
    """

    path: Path
    layout: str | None
    class_names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep the data set from being used."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems to look at that do not keep the data set from being used."""
        return tuple(problem for problem in self.problems if problem.warning)

    def lines(self) -> Iterator[str]:
        """The report in words, a line each; problems last."""
        for split in self.splits:
            yield from split.lines()
        yield from self.notes
        for problem in self.problems:
            yield f"{'warning' if problem.warning else 'error'}: {problem}"
        if not self.problems:
            yield "no problem found"

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        held = {**asdict(self), "path": str(self.path)}
        for split in held["splits"]:
            sizes = split["pixel_sizes"].items()
            split["pixel_sizes"] = {str(side or "unknown"): n for side, n in sizes}
            split["sizes"] = {"x".join(map(str, size)): n for size, n in split["sizes"].items()}
            split["spacings"] = {
                "x".join(map(str, z_y_x or ("unknown",))): n
                for z_y_x, n in split["spacings"].items()
            }
        for problem in held["problems"]:
            problem["file"] = str(problem["file"])
        return held


def _sizes(counts: Mapping[float | None, int]) -> str:
    """Pixel sizes as people write them."""
    known, silent = sorted(side for side in counts if side is not None), counts.get(None, 0)
    told = " to ".join(f"{side:.3g}" for side in dict.fromkeys((known[0], known[-1]))) + " µm"
    return told + (f", not stated by {some(silent, 'file')}" if silent else "")


def one_after_another(reports: Sequence[Report], problems: Sequence[Problem]) -> Report:
    """The report of a data set of several targets, of one for each and what else is wrong."""
    names = tuple(name for report in reports for name in report.class_names)
    splits = tuple(split for report in reports for split in report.splits)
    found = dict.fromkeys([*problems, *(p for report in reports for p in report.problems)])
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    return Report(reports[0].path, "Targets", names, splits, tuple(found), tuple(notes))


def _objects(objects: Mapping[str, int]) -> str:
    if len(objects) == 1:
        name, count = next(iter(objects.items()))
        return some(count, "object") + ("" if name == "object" else f" of class {name}")
    counts = ", ".join(f"{name} {count}" for name, count in objects.items())
    return f"{some(sum(objects.values()), 'object')} ({counts})"

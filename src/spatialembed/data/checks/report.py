"""The report of a check: what each split holds, in words and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.data.checks.one_image import Look
from spatialembed.data.crops.cropper import empty_share
from spatialembed.data.data_set import FileDataSet, Problem

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles of the objects' areas that a report gives."""


@dataclass(frozen=True)
class SplitReport:
    """What one split holds, of the images that could be read.

    Attributes:
        split: "train", "val" or "test".
        images: readable images with readable truth.
        images_without_objects: how many of them have no object of the classes.
        objects: number of objects of every class.
        sizes, channels, dtypes: images by (width, height), by channels and by stored type.
        area_quantiles: pixels of the objects at :data:`QUANTILES`; empty without objects.
        median_diameter: pixels, of the disc of an object's area; None without objects.
        ignored: share of all pixels that is ignored, 0 to 1.
    """

    split: str
    images: int
    images_without_objects: int
    objects: dict[str, int]
    sizes: dict[tuple[int, int], int]
    channels: dict[int, int]
    dtypes: dict[str, int]
    area_quantiles: tuple[float, ...]
    median_diameter: float | None
    ignored: float

    def lines(self) -> Iterator[str]:
        """The report in words, a line each."""
        yield f"{self.split}: {some(self.images, 'image')}, {_objects(self.objects)}"
        if not self.images:
            return
        widths, heights = zip(*self.sizes, strict=True)
        least, most = f"{min(widths)}x{min(heights)}", f"{max(widths)}x{max(heights)}"
        sizes = least if least == most else f"{least} to {most}"
        channels = ", ".join(some(n, "channel") for n in self.channels)
        yield f"  {sizes} pixels, {channels}, {', '.join(self.dtypes)}"
        if self.median_diameter is not None:
            low, middle, high = (self.area_quantiles[QUANTILES.index(q)] for q in (0.05, 0.5, 0.95))
            yield (
                f"  objects of {middle:.0f} pixels (90 % between {low:.0f} and {high:.0f}), "
                f"median diameter {self.median_diameter:.1f} pixels"
            )
        if self.images_without_objects:
            yield f"  {some(self.images_without_objects, 'image')} without an object{self._shown()}"
        if self.ignored:
            yield f"  {self.ignored:.1%} of the pixels ignored"

    def _shown(self) -> str:
        """How many crops show images without an object, if any does."""
        if self.split != "train" or self.images_without_objects == self.images:
            return ""
        share = 100 * empty_share(self.images_without_objects, self.images)
        return f": {share:.3g} % of the crops show them, where a recipe has no background_share"


def split_report(dataset: FileDataSet, looks: Sequence[Look]) -> SplitReport:
    """What a split holds, by what was seen of its images."""
    table = np.concatenate([np.zeros((0, 7), np.int32), *(look.objects for look in looks)])
    counts = np.bincount(table[:, 1], minlength=len(dataset.class_names))
    area = table[:, 6]
    pixels = sum(look.shape[0] * look.shape[1] for look in looks)
    return SplitReport(
        split=dataset.split,
        images=len(looks),
        images_without_objects=sum(not len(look.objects) for look in looks),
        objects={name: int(n) for name, n in zip(dataset.class_names, counts, strict=True)},
        sizes=dict(Counter((look.shape[1], look.shape[0]) for look in looks)),
        channels=dict(Counter(look.channels for look in looks)),
        dtypes=dict(Counter(str(look.dtype) for look in looks)),
        area_quantiles=tuple(map(float, np.quantile(area, QUANTILES))) if len(area) else (),
        median_diameter=float(np.sqrt(np.median(area) * 4 / np.pi)) if len(area) else None,
        ignored=sum(look.ignored for look in looks) / max(pixels, 1),
    )


@dataclass(frozen=True)
class Report:
    """What a data set holds and what is wrong with it.

    Attributes:
        path: the data set's folder.
        layout: "Cityscapes", "Coco" or "LabelFolder"; None where none was recognized.
        class_names: the classes looked at.
        splits: one report a split; a "val" held out of train is one too.
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
            split["sizes"] = {f"{w}x{h}": n for (w, h), n in split["sizes"].items()}
        for problem in held["problems"]:
            problem["file"] = str(problem["file"])
        return held


def some(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _objects(objects: Mapping[str, int]) -> str:
    if len(objects) == 1:
        name, count = next(iter(objects.items()))
        return some(count, "object") + ("" if name == "object" else f" of class {name}")
    counts = ", ".join(f"{name} {count}" for name, count in objects.items())
    return f"{some(sum(objects.values()), 'object')} ({counts})"

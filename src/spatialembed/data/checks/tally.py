"""Counts of what a split holds, image by image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from spatialembed.data.checks.report import QUANTILES, SplitReport
from spatialembed.data.checks.sample_check import Look
from spatialembed.data.data_set import FileDataSet


@dataclass
class Tally:
    """What has been counted of a split so far."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    tables: list[np.ndarray] = field(default_factory=list)
    pixels: int = 0
    ignored: int = 0

    def add(self, look: Look) -> None:
        """Count one image."""
        height, width = look.shape
        self.sizes[width, height] += 1
        self.channels[look.channels] += 1
        self.dtypes[str(look.dtype)] += 1
        self.tables.append(look.objects)
        self.pixels += height * width
        self.ignored += look.ignored

    def report(self, dataset: FileDataSet) -> SplitReport:
        """The counts of ``dataset``, all of whose images were added."""
        tables = self.tables or [np.zeros((0, 7), np.int32)]
        table = np.concatenate(tables)
        counts = np.bincount(table[:, 1], minlength=len(dataset.class_names))
        area = table[:, 6]
        return SplitReport(
            split=dataset.split,
            images=len(self.tables),
            images_without_objects=sum(not len(table) for table in self.tables),
            objects={name: int(n) for name, n in zip(dataset.class_names, counts, strict=True)},
            sizes=dict(self.sizes),
            channels=dict(self.channels),
            dtypes=dict(self.dtypes),
            area_quantiles=tuple(map(float, np.quantile(area, QUANTILES))) if len(area) else (),
            median_diameter=float(np.sqrt(np.median(area) * 4 / np.pi)) if len(area) else None,
            ignored=self.ignored / max(self.pixels, 1),
        )

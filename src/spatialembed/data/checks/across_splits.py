"""Images of two splits that are equal or adjoin: scores on what was trained on flatter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spatialembed.data.checks.adjoining import adjoining
from spatialembed.data.checks.borders import Borders, borders_of, digest_of
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.windows import WindowedImage, in_memory

MOST = 2000
"""Images of a split whose borders are compared: the first by name."""

_REMEDY = "a score on it flatters: keep what is of one picture in one split, held out by --groups"


class Traces(NamedTuple):
    """What is kept of an image to find it, or its neighbour, in another split."""

    digest: bytes | None
    """None of an image of one value, and of one that is not read whole."""
    borders: Borders | None


def traces_of(image: np.ndarray | WindowedImage) -> Traces:
    """Those of an image (H, W, C), or of one that is read by windows."""
    if isinstance(image, WindowedImage):
        return Traces(None, borders_of(image))
    return Traces(digest_of(image), borders_of(in_memory("image", image)))


def traces_in(data: FileDataSet) -> dict[Path, Traces]:
    """Those of all images of a split, by their files; every image is decoded."""
    found = {}
    for i in range(len(data)):
        large = data.large(i)
        found[data.items[i].image] = traces_of(data[i].image if large is None else large.image)
    return found


def across_splits(traces: Mapping[str, Mapping[Path, Traces]]) -> Iterator[Problem]:
    """Warnings about images that equal or adjoin one of another split.

    Args:
        traces: by split, train first, and by file.
    """
    yield from _equal(traces)
    images = [
        (split, file, trace.borders)
        for split, found in traces.items()
        for file, trace in list(found.items())[:MOST]
        if trace.borders is not None
    ]
    splits, files, borders = zip(*images, strict=True) if images else ((), (), ())
    order = list(traces)
    met: dict[tuple[str, str], dict[Path, Path]] = {pair: {} for pair in combinations(order, 2)}
    for pair in adjoining(borders).tolist():
        one, other = sorted(pair, key=lambda i: order.index(splits[i]))
        if splits[one] != splits[other]:
            met[splits[one], splits[other]].setdefault(files[other], files[one])
    for (split, scored), found in met.items():
        if found:
            file = min(found)
            message = (
                f"adjoins {found[file]}, as tiles of one picture do ({len(found)} of "
                f"{len(traces[scored])} {scored} images adjoin one of {split}); {_REMEDY}"
            )
            yield Problem(file, message, warning=True)


def _equal(traces: Mapping[str, Mapping[Path, Traces]]) -> Iterator[Problem]:
    for split, scored in combinations(traces, 2):
        known = {trace.digest: file for file, trace in traces[split].items() if trace.digest}
        found = {f: known[t.digest] for f, t in traces[scored].items() if t.digest in known}
        if found:
            file = min(found)
            message = (
                f"is equal to {found[file]}, pixel by pixel ({len(found)} of "
                f"{len(traces[scored])} {scored} images equal one of {split}); {_REMEDY}, or "
                "remove one of them"
            )
            yield Problem(file, message, warning=True)


def compared(traces: Mapping[str, Mapping[Path, Traces]]) -> Iterator[str]:
    """That not all borders were compared, of a set too large for that."""
    for split, found in traces.items():
        if len(found) > MOST and len(traces) > 1:
            yield f"adjoining images: of {split} the first {MOST} of {len(found)} were looked at"

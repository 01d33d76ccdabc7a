"""What prediction writes of several targets, such as nuclei and their cells, and which is whose.

Targets come from that of the largest objects to that of the smallest; objects of an earlier one may
hold those of a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.errors import UserError
from spatialembed.files.sources import require_sources
from spatialembed.files.writing import write_json
from spatialembed.formats.kinds import OF_ALL_TARGETS
from spatialembed.formats.outlines import features
from spatialembed.formats.results_folder import Results
from spatialembed.formats.settings_file import settings_in
from spatialembed.instances import Instances
from spatialembed.metrics.overlaps import common_pixels, runs
from spatialembed.pictures import distinct_colors, save_picture
from spatialembed.pictures.colors import RGB, colors_of_objects, to_rgb
from spatialembed.pictures.overlays import first_along_z, tinted

Found = Mapping[str, Instances]
"""What was found of each target, largest objects first."""


def holders(inner: Instances, outer: Instances) -> np.ndarray:
    """(N,) int32 of each object of one target the label of the object of another that holds it.

    That is the one with most of its pixels, if it has half of them or more; of equal ones the
    first. 0 where there is none.
    """
    (own, other), lengths = runs(inner.label_map, outer.label_map)
    i, j, common = common_pixels(own, other, lengths)
    held, most = np.zeros((2, len(inner)), np.int64)
    order = np.lexsort((-j, common))  # the last one stays
    held[i[order]], most[i[order]] = j[order] + 1, common[order]
    return np.where(2 * most >= inner.areas, held, 0).astype(np.int32)


def belonging(found: Found) -> dict[str, dict[str, list[object]]]:
    """Columns for the measurements of each target, of one value an object.

    Of a smaller target the label of what holds each, by the holder's name, empty where nothing
    does; of the larger one how many it holds, by the name of what is held, and "NAME_labels".
    """
    columns: dict[str, dict[str, list[object]]] = {name: {} for name in found}
    for (large, outer), (small, inner) in combinations(found.items(), 2):
        held = holders(inner, outer)
        columns[small][large] = [label or "" for label in held.tolist()]
        inside = [np.flatnonzero(held == k + 1) + 1 for k in range(len(outer))]
        columns[large][small] = [len(labels) for labels in inside]
        columns[large][f"{small}_labels"] = [" ".join(map(str, labels)) for labels in inside]
    return columns


def targets_geojson(found: Found) -> dict[str, Any]:
    """GeoJSON of all targets, each a class; as :func:`~spatialembed.formats.outlines.geojson`.

    Of two targets of an image objects of the larger are QuPath's cells; one that holds a single
    object of the other has it as its nucleus, which is then no object of its own.

    Raises:
        UserError: scikit-image is missing.
    """
    colors = distinct_colors(len(found)).tolist()
    each = [features(one, [color]) for one, color in zip(found.values(), colors, strict=True)]
    maps = list(found.values())
    if len(each) == 2 and maps[0].label_map.ndim == 2:
        each[1] = _as_nuclei(each[0], each[1], holders(maps[1], maps[0]))
    return {"type": "FeatureCollection", "features": [one for own in each for one in own]}


def _as_nuclei(
    cells: list[dict[str, Any]], nuclei: list[dict[str, Any]], held: np.ndarray
) -> list[dict[str, Any]]:
    """Put nuclei into the cells that hold one, and give those that are left."""
    count = np.bincount(held, minlength=len(cells) + 1)
    for cell in cells:
        cell["properties"]["objectType"] = "cell"
    left = []
    for nucleus, label in zip(nuclei, held.tolist(), strict=True):
        if label and count[label] == 1:
            cells[label - 1]["nucleusGeometry"] = nucleus["geometry"]
            measured = cells[label - 1]["properties"]["measurements"]
            measured["nucleus score"] = nucleus["properties"]["measurements"]["score"]
        else:
            left.append(nucleus)
    return left


def targets_overlay(image: np.ndarray, found: Found) -> RGB:
    """The image with the objects of all targets tinted and outlined, smaller ones on top."""
    maps = [one.label_map for one in found.values()]
    if image.ndim == 4:  # a stack is seen along z
        maps = [first_along_z(labels) for labels in maps]
        image = image.max(0)
    rgb = to_rgb(image)
    for labels in maps:
        rgb = tinted(rgb, *colors_of_objects(labels))
    return rgb


def require_distinct(results: Results, names: Sequence[str], overwrite: bool = False) -> None:
    """Refuse images two of which would have a file of one name, as a_x of cells and a of x_cells.

    One of the two may have been predicted to the folder before. Whose a file is that lies there
    alone, as where a run was killed, nobody knows: it is refused unless it is overwritten.

    Raises:
        UserError: two would, or may.
    """
    owners: dict[str, str] = {}
    for name in names:
        for path in results.paths("labels", name):
            if (other := owners.setdefault(str(path).casefold(), name)) != name:
                raise _clash(other, name, path)
        own = results.paths("labels", name)
        for other in _namesakes(results, name):
            theirs = results.paths("labels", other)
            alone, shared = set(theirs) - set(own), next(path for path in own if path in theirs)
            doubtful = shared.is_file() and not overwrite and not all(p.is_file() for p in own)
            if doubtful or any(path.is_file() for path in alone):
                raise _clash(other, name, shared)


def require_own(results: Results, images: Collection[tuple[str, Path]], remedy: str) -> None:
    """Refuse a folder in which results of images are, or may be, those of others.

    These are label TIFFs, as :func:`~spatialembed.files.sources.require_sources` has it, and what
    lies there without its labels, so that nobody knows of which image it is. What lies in a folder
    that says nothing of results is the user's own, as :meth:`Results.agree` has it.

    Args:
        results: which are asked for, and where.
        images: names and files.
        remedy: what to do.

    Raises:
        UserError: there are such.
    """
    labels = {name: results.paths("labels", name) for name, _ in images}
    require_sources(((tiff, image) for name, image in images for tiff in labels[name]), remedy)
    for name, tiffs in labels.items() if settings_in(results.out, {}) else ():
        if any(path.is_file() for path in tiffs):
            continue
        others = (path for kind in results.kinds for path in results.paths(kind, name))
        if alone := next((path for path in others if path.is_file()), None):
            raise UserError(
                f"{alone} lies there without its labels, so that nobody knows of which image it "
                f"is; {remedy}"
            )


def _namesakes(results: Results, name: str) -> Iterator[str]:
    """Names that an image with a file of the same name as one of this image's would have."""
    for long, short in permutations(results.targets, 2):
        more = long.removesuffix(short)
        if more != long and more.endswith("_"):
            yield f"{name}_{more[:-1]}"
            if (less := name.removesuffix(f"_{more[:-1]}")) != name:
                yield less


def _clash(one: str, other: str, path: Path) -> UserError:
    return UserError(
        f"the images {one} and {other} would both have results in {path}, by the names of their "
        "targets: rename one, or predict it to another --out"
    )


def write_targets(
    results: Results,
    name: str,
    image: np.ndarray,
    found: Found,
    overwrite: bool = True,
    spacing: tuple[float, ...] | None = None,
    source: Path | None = None,
) -> None:
    """Write the results of one image, as :meth:`Results.write` does those of one target.

    Those of each target are named by it, ``a_cells.tif``; picture and GeoJSON hold all of them.

    Raises:
        UserError: a file cannot be written.
    """
    if overwrite:
        results.tidy(name)
    formats = tuple(kind for kind in results.formats if kind not in OF_ALL_TARGETS)
    own = replace(results, formats=formats, pictures=False, targets=())
    columns = belonging(found) if "measurements" in formats else {}
    for target, one in found.items():
        # A picture or GeoJSON of that name would be of another image.
        further = columns.get(target)
        own.write_files(f"{name}_{target}", image, one, overwrite, spacing, further, source)
    writers: dict[str, Callable[[Path], object]] = {
        "geojson": lambda path: write_json(path, targets_geojson(found)),
        "picture": lambda path: save_picture(path, targets_overlay(image, found)),
    }
    for kind, write in writers.items():
        [path] = results.paths(kind, name)
        if kind in results.kinds and (overwrite or not path.is_file()):
            write(path)

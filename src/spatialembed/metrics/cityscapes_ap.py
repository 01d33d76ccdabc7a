"""Cityscapes' AP, computed by the official cityscapesScripts on results in submission format.

The official script is made to be run by hand: it prints, leaves with ``sys.exit`` and writes
caches beside itself and where it is run. Only its functions that compute are called here, one
image at a time, so that a fault names its image and nothing is written anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import copy
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spatialembed.errors import UserError, missing_extra

OVERLAPS = np.arange(0.5, 1.0, 0.05)
"""IoU thresholds the official AP is averaged over."""

MIN_REGION = 100
"""Size in pixels below which the official evaluation ignores a true object."""


def cityscapes_ap(
    results: Path,
    ground_truth: Mapping[str, Path],
    class_names: Sequence[str],
    min_region: int | None = None,
) -> dict[str, Any]:
    """Official instance-level AP of a folder of results.

    Args:
        results: folder of results in submission format: for each image a text file of its name
            with lines "relative/mask.png labelId score".
        ground_truth: the ``*_gtFine_instanceIds.png`` file of each image.
        class_names: which of Cityscapes' classes with instances to score.
        min_region: true objects of fewer pixels are ignored, and so is what is found mostly on
            them; None for the official 100. A figure at another size is not the official one.

    Returns:
        ``{"classes": {name: {"AP", "AP50"}}, "mean": {"AP", "AP50"}, "min_region": pixels,
        "images": count}``; figures in percent, None for a class without a true object, which
        stays out of the mean.

    Raises:
        UserError: the 'eval' extra is missing, or a file that the official script refuses.
    """
    official = _official()
    results = results.absolute()
    args = _arguments(official, results, class_names, min_region)
    matches: dict[str, Any] = {}
    for name, file in ground_truth.items():
        result, truth = results / f"{name}.txt", file.absolute()
        with _speaking_of(truth):
            instances = official.instances2dict([str(truth)], False)
        with _speaking_of(result):
            matches |= official.matchGtWithPreds([str(result)], [str(truth)], instances, args)
    classes = {name: _class_ap(official, matches, args, name) for name in class_names}
    return {
        "classes": classes,
        "mean": {key: _mean([c[key] for c in classes.values()]) for key in ("AP", "AP50")},
        "min_region": int(args.minRegionSizes[0]),
        "images": len(ground_truth),
    }


def _official() -> Any:
    try:
        from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as official
    except ImportError as error:
        raise missing_extra("Cityscapes AP", "eval") from error
    if not hasattr(np, "in1d"):
        # gone from numpy 2.4; the official script is lent it without touching numpy itself
        official.np = _Numpy("numpy")
    return official


class _Numpy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return np.isin if name == "in1d" else getattr(np, name)


def _arguments(
    official: Any, results: Path, class_names: Sequence[str], min_region: int | None
) -> Any:
    args = copy(official.args)  # which every caller of the script shares
    args.quiet = True
    args.predictionPath = str(results)
    args.instLabels = list(class_names)
    args.overlaps = OVERLAPS
    args.minRegionSizes = np.array([MIN_REGION if min_region is None else min_region])
    return args


@contextmanager
def _speaking_of(path: Path) -> Iterator[None]:
    """Turn what the official script prints and raises into one sentence about ``path``."""
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    except SystemExit as error:
        raise UserError(f"{path}: {printed.getvalue().strip().removeprefix('ERROR: ')}") from error
    except KeyError as error:
        raise UserError(
            f"{path}: there is no Cityscapes label {error}; use its labelIds"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: the official evaluation cannot read it ({error}); write it anew"
        ) from error


def _class_ap(
    official: Any, matches: dict[str, Any], args: Any, name: str
) -> dict[str, float | None]:
    """AP and AP50 in percent; thresholds one by one, for the reason given below."""
    scores = []
    for overlap in OVERLAPS:
        one = copy(args)
        one.instLabels, one.overlaps = [name], np.array([overlap])
        try:
            scores.append(100 * float(official.evaluateMatches(matches, one)[0, 0, 0]))
        except IndexError:
            # its precision-recall curve has no point where nothing matches and all that was
            # found is in ignored regions: true objects, none recalled
            scores.append(0.0)
    values = {"AP": float(np.mean(scores)), "AP50": scores[0]}
    return {key: None if math.isnan(value) else value for key, value in values.items()}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

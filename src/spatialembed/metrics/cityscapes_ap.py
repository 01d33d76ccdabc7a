"""Cityscapes' AP, computed by the official cityscapesScripts on results in submission format.

The official script is made to be run by hand: it prints, leaves with ``sys.exit`` and writes
caches beside itself and where it is run. Only its functions that compute are called here, one
image at a time, so that a fault names its image and nothing is written anywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

TRUTH_SUFFIXES = ("_gtFine_instanceIds.png", "_instanceIds.png", ".png")


def cityscapes_ap(
    results: str | Path,
    ground_truth: Mapping[str, str | Path] | Iterable[str | Path],
    class_names: Sequence[str],
    min_region: int | None = None,
) -> dict[str, Any]:
    """Official instance-level AP of a folder of results.

    Args:
        results: folder of results in submission format, searched through: a text file an image
            with lines "relative/mask.png labelId score".
        ground_truth: the ``*_gtFine_instanceIds.png`` files, whose names before that ending begin
            the names of their results; or a mapping from another such beginning to the file. Every
            file must have a result, and results of other images are left alone.
        class_names: which of Cityscapes' classes with instances to score.
        min_region: true objects of fewer pixels are ignored, and so is what is found mostly on
            them; None for the official 100. A figure at another size is not the official one.

    Returns:
        ``{"classes": {name: {"AP", "AP50"}}, "mean": {"AP", "AP50"}, "min_region": pixels,
        "images": count}``; figures in percent, None for a class without a true object, which
        stays out of the mean.

    Raises:
        UserError: the 'eval' extra is missing; an unknown class; a truth without result or with
            several; a file that the official script refuses.
    """
    official = _official()
    args = _arguments(official, Path(results), class_names, min_region)
    pairs = _pairs(Path(results), ground_truth)
    matches: dict[str, Any] = {}
    for result, truth in pairs:
        with _speaking_of(truth):
            instances = official.instances2dict([str(truth)], False)
        with _speaking_of(result):
            matches |= official.matchGtWithPreds([str(result)], [str(truth)], instances, args)
    classes = {name: _class_ap(official, matches, args, name) for name in class_names}
    return {
        "classes": classes,
        "mean": {key: _mean([c[key] for c in classes.values()]) for key in ("AP", "AP50")},
        "min_region": int(args.minRegionSizes[0]),
        "images": len(pairs),
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
    known = [each.name for each in official.labels if each.hasInstances and not each.ignoreInEval]
    for name in class_names:
        if name not in known:
            raise UserError(f"Cityscapes has no instances of class {name!r}; it has {known}")
    if not class_names:
        raise UserError(f"name at least one class to score, of {known}")
    if min_region is not None and min_region < 0:
        raise UserError(f"min_region is a number of pixels, not {min_region}")
    args = copy(official.args)  # which every caller of the script shares
    args.quiet = True
    args.predictionPath = str(results.absolute())
    args.instLabels = list(class_names)
    args.overlaps = OVERLAPS
    args.minRegionSizes = np.array([MIN_REGION if min_region is None else min_region])
    return args


def _pairs(
    results: Path, ground_truth: Mapping[str, str | Path] | Iterable[str | Path]
) -> list[tuple[Path, Path]]:
    """Each ground-truth file with its result, absolute, in the order given."""
    if not results.is_dir():
        raise UserError(f"there is no folder of results {results}; predict into it first")
    if isinstance(ground_truth, Mapping):
        truths = [(stem, Path(path)) for stem, path in ground_truth.items()]
    else:
        truths = [(_stem(Path(path)), Path(path)) for path in ground_truth]
    if not truths:
        raise UserError("there is no ground truth to score against; give at least one file")
    listed = sorted(results.absolute().rglob("*.txt"))
    return [(_result(stem, truth, listed, results), truth.absolute()) for stem, truth in truths]


def _stem(truth: Path) -> str:
    for suffix in TRUTH_SUFFIXES:
        if truth.name.endswith(suffix):
            return truth.name.removesuffix(suffix)
    raise UserError(f"{truth} is not named like ground truth; it ends in {TRUTH_SUFFIXES[0]}")


def _result(stem: str, truth: Path, listed: list[Path], results: Path) -> Path:
    if not truth.is_file():
        raise UserError(f"there is no ground truth {truth}; check the folder of the data")
    exact = [path for path in listed if path.stem == stem]
    # as officially, "<stem>*.txt", save that image 1 does not take the result of image 10
    begins = re.compile(re.escape(stem) + r"(?![0-9])")
    found = exact or [path for path in listed if begins.match(path.name)]
    if not found:
        raise UserError(f"{results} has no result {stem}*.txt for {truth}; predict that image")
    if len(found) > 1:
        raise UserError(f"{truth} has several results, {found[0]} and {found[1]}; keep one")
    return found[0]


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

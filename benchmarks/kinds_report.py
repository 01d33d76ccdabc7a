"""The tables of kinds.py, of what its jobs have left so far."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_report import card
from kinds_data import DRAWN, FEW_OF
from kinds_jobs import scores_of
from measure import machine

COUNTS = (1, 5)
"""Images of a kind that a model has not seen."""

Pairs = dict[str, list[float]]
"""AP50 and mean AP by image."""


def page(
    out: Path, kinds: Mapping[str, Sequence[str]], device: str, failed: Mapping[str, str]
) -> str:
    """All tables as Markdown."""
    lines = [f"# {card(device)}", "", machine(), ""]
    lines += ["## One network for all kinds beside one for each", "", *_kinds(out, kinds), ""]
    lines += ["## With and without generated images", "", *_drawn(out, kinds), ""]
    lines += ["## Few images of a kind that the start has not seen", "", *_few(out, kinds), ""]
    lines += ["## Trainings", "", *_trainings(out)]
    if failed:
        lines += ["", "## Not done", "", *_table(["what", "why"], sorted(failed.items()))]
    return "\n".join(lines) + "\n"


def _kinds(out: Path, kinds: Mapping[str, Sequence[str]]) -> list[str]:
    rows, whole = [], _read(out, "all")
    for kind, sets in kinds.items():
        alone = _read(out, f"alone-{kind}")
        for how in ("known", "own"):
            both = [_of(result, how, sets) for result in (whole, alone)]
            names = sorted(both[0] or both[1])
            if names:
                rows.append([kind, how, str(len(names)), *_beside(both, names)])
    header = ["kind", "size", "images", "all: AP50", "mean AP", "alone: AP50", "mean AP"]
    return _table([*header, "all − alone, mean AP"], rows)


def _beside(both: Sequence[Pairs], names: Sequence[str]) -> list[str]:
    arrays = [np.array([pairs[name] for name in names]) for pairs in both if pairs]
    cells = [shown(column) for array in arrays for column in array.T]
    if len(arrays) < 2:
        here = ["", ""] if both[1] else []
        return [*here, *cells, *["–"] * (5 - len(here) - len(cells))]
    return [*cells, shown((arrays[0] - arrays[1])[:, 1], signed=True)]


def _drawn(out: Path, kinds: Mapping[str, Sequence[str]]) -> list[str]:
    rows, both = [], [_read(out, name) for name in ("all", f"without-{DRAWN}")]
    for kind, sets in kinds.items():
        given, missing = (_of(result, "known", sets) for result in both)
        if given and missing:
            change = np.array([np.subtract(given[name], missing[name]) for name in sorted(given)])
            rows.append(
                [kind, str(len(given)), *(shown(column, signed=True) for column in change.T)]
            )
    return _table(["kind", "images", "with − without: AP50", "mean AP"], rows)


def _few(out: Path, kinds: Mapping[str, Sequence[str]]) -> list[str]:
    rows = []
    for kind in kinds:
        start = _read(out, f"without-{kind}")
        name = FEW_OF.get(kind, kinds[kind][0])
        if not start or kind == DRAWN:
            continue
        for how in ("known", "own"):
            ap50, ap = np.array(list(_of(start, how, [name]).values())).mean(0)
            rows.append([kind, how, "0", "", f"{ap50:.3f}", f"{ap:.3f}", *[""] * 4])
            for count in COUNTS:
                trials = [_read(out, path.stem) for path in trials_of(out, kind, count)]
                if trials:
                    rows.append([kind, how, *_trials(trials, how, ap)])
    header = ["kind", "size", "images", "trials", "AP50", "mean AP", "− start", "below the start"]
    return _table([*header, "from nothing: mean AP", "− from nothing"], rows)


def _trials(trials: Sequence[dict[str, Any]], how: str, start: float) -> list[str]:
    """Cells of a row; errors are over trials, each of which drew images of its own."""
    tuned, nothing = (
        np.array([np.mean(list(trial[of][how].values()), axis=0) for trial in trials])
        for of in ("tuned", "nothing")
    )
    gain, below = tuned[:, 1] - start, int((tuned[:, 1] < start - 1e-9).sum())
    images = "/".join(str(n) for n in sorted({trial["images"] for trial in trials}))
    cells = [images, str(len(trials)), shown(tuned[:, 0]), shown(tuned[:, 1])]
    beside = [shown(gain, signed=True), f"{below} of {len(trials)}", shown(nothing[:, 1])]
    return [*cells, *beside, shown((tuned - nothing)[:, 1], signed=True)]


def _trainings(out: Path) -> list[str]:
    rows = []
    for path in sorted((out / "models").glob("*.safetensors")):
        notes = _read(out, path.stem).get("training")
        if notes:
            told = str(notes["steps"]), f"{notes['crops_per_second']:.0f}"
            rows.append([path.stem, *told, f"{path.stat().st_size / 1e6:.1f} MB"])
    return _table(["model", "steps", "crops a second, loader included", "file"], rows)


def trials_of(out: Path, kind: str, count: int) -> list[Path]:
    """Results of all trials with so many images of a kind."""
    return sorted(scores_of(out, "x").parent.glob(f"few-{kind}-{count}-*.json"))


def shown(values: NDArray[np.float64], signed: bool = False) -> str:
    """Mean and standard error; of a single value no error."""
    mean = f"{values.mean():+.3f}" if signed else f"{values.mean():.3f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def _of(result: dict[str, Any], how: str, sets: Sequence[str]) -> Pairs:
    found: Pairs = result.get(how, {})
    return {name: pair for name, pair in found.items() if name.partition("/")[0] in sets}


def _read(out: Path, name: str) -> dict[str, Any]:
    path = scores_of(out, name)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]

"""One network for many kinds of image: beside one for each kind, and as a start on a new kind.

    python benchmarks/kinds.py DATA --out FOLDER --minutes 8      # on a card; all in so many
    python benchmarks/kinds.py DATA --out FOLDER --steps 6000     # on a CPU: hours
    python benchmarks/kinds.py --small --out FOLDER               # generated kinds, in seconds

DATA holds a folder of label masks for each kind (kinds_data.py: their split, by picture). Trains by
the recipe ``cells`` on all kinds, on all but one, and on each alone; then from those without a kind
learns from few images of it. Where generated.py has drawn DATA/generated, what that gives to the
others is told. Writes ``kinds.md`` anew after each of them, and ``models/``. What is
done is not done again: the same command goes on with what was cut short.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from kinds_data import DRAWN, diameters, generate, kinds_in, split
from kinds_jobs import Given, Job, attempt, scores_of
from kinds_report import COUNTS, page
from spatialembed.files.writing import atomic_write

UNSEEN = ("tissue", "phase", "bacteria", "grains", DRAWN)
"""Kinds that a network is trained without, each in turn."""

WEIGHTS = {"all": 4.0, "without": 2.0, "alone": 1.0}
"""Of the length of each training."""

TRAINING = 0.55
"""Share of the minutes that trainings are planned for; the rest scores, and learns from few."""

Done = Callable[[Iterable[Job]], Iterator[tuple[str, str]]]


def main() -> int:
    """All jobs that are not done; 1 if any failed."""
    began, options = time.monotonic(), parsed()
    with tempfile.TemporaryDirectory() as folder:
        given = prepared(options, began, Path(folder))
        failed: dict[str, str] = {}
        with lanes(given, options.parallel) as done:
            for jobs in (trainings(given, options), trials(given, options)):
                for name, error in done(jobs):
                    print(f"{time.monotonic() - began:6.0f} s  {name} {error}".rstrip(), flush=True)
                    if error:
                        failed[name] = error
                    write(given, failed)
    write(given, failed)
    print((given.out / "kinds.md").read_text(encoding="utf-8"))
    return int(bool(failed))


def parsed() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add, on_card = parser.add_argument, torch.cuda.is_available()
    add("data", type=Path, nargs="?", help="folder with a folder for each kind")
    add("--out", type=Path, required=True, help="folder of the results")
    add("--steps", type=int, help="of the training on all kinds; others have fewer")
    add("--minutes", type=float, help="for everything, shared among the trainings")
    add("--few-steps", type=int, default=200, help="of a training on few images")
    add("--trials", type=int, default=5, help="draws of each number of images of each kind")
    add("--only", nargs="+", help="all, without, alone, few, or one of them as alone-tissue")
    add("--device", default="cuda" if on_card else "cpu")
    add("--precision", default="auto")
    add("--parallel", type=int, default=4 if on_card else 1, help="trainings at a time")
    add("--workers", type=int, help="processes that draw crops, of each training")
    add("--small", action="store_true", help="generated kinds, and sizes for a test")
    options = parser.parse_args()
    if options.small:
        options.few_steps = 2
        options.steps = 2 if options.minutes is None else None
    if (options.data is None) != options.small:
        parser.error("give the folder of the kinds, or --small")
    if (options.steps is None) == (options.minutes is None):
        parser.error("give one of --steps and --minutes")
    return options


def prepared(options: argparse.Namespace, began: float, scratch: Path) -> Given:
    """What all jobs share; the split of every kind is on disk after it."""
    cores = max(1, (os.cpu_count() or 1) // options.parallel)
    if options.parallel > 1:  # processes of their own read these as they start
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(cores)))
    workers = options.workers
    if workers is None:
        workers = 0 if options.small else max(1, cores - 1)
    root = generate(scratch) if options.small else options.data
    kinds, out = kinds_in(root), options.out.resolve()
    names = [name for sets in kinds.values() for name in sets]
    split(root, names, out / "data")
    return Given(
        out=out,
        kinds=kinds,
        diameters=diameters(out / "data", names),
        device=options.device,
        precision=options.precision,
        workers=workers,
        small=options.small,
        few_steps=options.few_steps,
        stop=None if options.minutes is None else began + 60 * options.minutes,
    )


def trainings(given: Given, options: argparse.Namespace) -> list[Job]:
    """On all kinds first, which is the model to keep; then those that others start from."""
    unseen = [kind for kind in UNSEEN if kind in given.kinds and len(given.kinds) > 1]
    alone = [kind for kind in given.kinds if kind != DRAWN]
    names = ["all", *(f"without-{k}" for k in unseen), *(f"alone-{k}" for k in alone)]
    names = [name for name in names if _is_due(given, options, name)]
    weights = {name: WEIGHTS[name.partition("-")[0]] for name in names}
    if options.steps is not None:
        each = {
            name: max(1, round(options.steps * w / WEIGHTS["all"])) for name, w in weights.items()
        }
        return [Job(name, f"--steps={steps}") for name, steps in each.items()]
    most = TRAINING * options.minutes
    unit = most * options.parallel / max(1.0, sum(weights.values()))
    return [Job(name, f"--minutes={min(most, w * unit):.3f}") for name, w in weights.items()]


def trials(given: Given, options: argparse.Namespace) -> Iterator[Job]:
    """One of each kind and number of images after the other, so that any time gives some of all."""
    for trial in range(options.trials):
        for kind in given.kinds:
            start = given.out / "models" / f"without-{kind}.safetensors"
            if kind == DRAWN or not start.is_file():
                continue
            for count in COUNTS:
                if _is_due(given, options, name := f"few-{kind}-{count}-{trial}"):
                    yield Job(name)


def _is_due(given: Given, options: argparse.Namespace, name: str) -> bool:
    asked = options.only is None or {name, name.partition("-")[0]} & set(options.only)
    return bool(asked) and not scores_of(given.out, name).is_file()


@contextmanager
def lanes(given: Given, parallel: int) -> Iterator[Done]:
    """How jobs are done: here one after the other, or several at a time in processes."""
    if parallel == 1:
        yield partial(map, partial(attempt, given))
        return
    with ProcessPoolExecutor(parallel, mp_context=get_context("spawn")) as pool:

        def done(jobs: Iterable[Job]) -> Iterator[tuple[str, str]]:
            started = [pool.submit(attempt, given, job) for job in jobs]
            return (future.result() for future in as_completed(started))

        yield done


def write(given: Given, failed: dict[str, str]) -> None:
    """The page, in place of the one before."""
    with atomic_write(given.out / "kinds.md") as path:
        path.write_text(page(given.out, given.kinds, given.device, failed), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

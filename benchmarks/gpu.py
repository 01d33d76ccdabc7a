"""Everything this project claims of a GPU, in one table: is it equal, and how fast is it.

    python benchmarks/gpu.py --out FOLDER [--dsb2018 DATA]    # under six minutes
    python benchmarks/gpu.py --out FOLDER --small --device cpu

Writes ``gpu.md`` and ``gpu.json`` in the folder, anew after each figure: what is cut short has lost
nothing. What fails is a row with its error, and the rest goes on, after a section that took its
process (or the card's context) with it in a new process. Exits with 1 if anything failed.
"""

import argparse
import faulthandler
import gc
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from gpu_dsb2018 import training
from gpu_equality import equality, loss_equality
from gpu_folders import folders
from gpu_images import shipped, whole_images
from gpu_learning import losses, training_steps
from gpu_report import Report
from gpu_timing import Bench, Figure, Section, limits

SECTIONS: dict[str, tuple[Section, float]] = {
    "limits of the machine": (limits, 40),
    "loss": (losses, 80),
    "training steps": (training_steps, 80),
    "DSB2018": (training, 600),
    "equality of the loss": (loss_equality, 100),
    "equality of what is found": (equality, 60),
    "whole images": (whole_images, 60),
    "nuclei": (shipped, 40),
    "folders": (folders, 80),
}
"""What is measured, in this order, and the seconds after which each is given up on a card."""

BEFORE = ("limits of the machine", "loss", "training steps"), ("DSB2018",)
"""Sections that wait for no kernel of the others, which compile meanwhile: the CPU's while times
of the card are taken, then the card's too."""

COMPILED = ("equality of the loss", "equality of what is found", "whole images")
"""Sections that need the kernels that take long to compile; the rest needs no others."""

LEAST = 5.0
"""Seconds without which a section is not begun."""


def main() -> int:
    """Measure; with ``--here`` in this process, else in one that may be lost."""
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.here:
        return measure(options)
    for old in options.out.glob("gpu.*"):
        old.unlink()
    stop = time.monotonic() + options.limit
    given = [name for name in SECTIONS if name != "DSB2018" or options.dsb2018]
    left = [name for name in given if name in options.only]
    with ExitStack() as running:
        for names, device in zip(BEFORE, ("cpu", options.device), strict=True):
            running.enter_context(compiling(device, options))
            measure_all([name for name in left if name in names], stop, options)
            left = [name for name in left if name not in names]
    measure_all(left, stop, options)
    report = Report(options.out, options.device, command())
    print(report.page.read_text(encoding="utf-8"))
    return int(report.failed)


@contextmanager
def compiling(device: str, options: argparse.Namespace) -> Iterator[None]:
    """Kernels of the CPU, or those of a card too, compile meanwhile: small runs use them.

    Those of the CPU take a core (of an AMD EPYC) 51 s; ``hinges`` of the loss alone takes 23.
    """
    if options.small or options.device == "cpu":
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        small = [sys.executable, __file__, "--here", "--small", "--device", device, "--only"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = [
            subprocess.Popen([*small, name, "--out", f"{folder}/{number}"], **quiet)
            for number, name in enumerate(COMPILED)
            if name in options.only
        ]
        try:
            yield
        finally:
            for one in running:
                one.wait()


def measure_all(left: list[str], stop: float, options: argparse.Namespace) -> None:
    """Measure sections in a process, and what it took with it in another."""
    while left:
        again = ["--here", "--only", *left, "--limit", f"{stop - time.monotonic():.0f}"]
        code = subprocess.run([sys.executable, __file__, *sys.argv[1:], *again]).returncode
        report = Report(options.out, options.device, command())
        before, left = left, [name for name in left if not report.done(name)]
        if left and (left == before or report.begun(left[0])):  # it took the process with it
            report.fail(left[0], "the rest of it", f"out of time or crashed ({code})")
            report.finish(left.pop(0), 0)


def parsed() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for gpu.md and gpu.json")
    add("--dsb2018", type=Path, help="folder of DSB2018, to train on")
    add("--minutes", type=float, default=3.0, help="of that training")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--small", action="store_true", help="sizes that a CPU is done with in seconds")
    add("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="some sections")
    add("--limit", type=float, default=350.0, help="seconds for all of them")
    add("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def command() -> str:
    """What was called, without what this file adds to it."""
    words = [*sys.argv[1:], "--here"]
    return " ".join(["python benchmarks/gpu.py", *words[: words.index("--here")]])


def measure(options: argparse.Namespace) -> int:
    """Measure some sections one after the other; stops where the card no longer answers."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    report = Report(options.out, options.device, command())
    stop = time.monotonic() + options.limit
    for name in options.only:
        section, most = SECTIONS[name]
        left = stop - time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            bench = Bench(
                device, options.small, options.out, Path(folder), stop,
                options.dsb2018, options.minutes,
            )  # fmt: skip
            within(left if options.small else min(most, left), name, section, bench, report)
        if device.type == "cuda":
            torch.cuda.synchronize()  # raises where an error has spoilt the card's context
    return 0


def within(seconds: float, name: str, section: Section, bench: Bench, report: Report) -> None:
    """One section, or the end of this process: it may wait for a card for ever."""
    report.begin(name)
    if seconds < LEAST:
        report.fail(name, "all of it", "no time was left; ask for it alone with --only")
        report.finish(name, 0)
        return
    with (bench.out / "errors.txt").open("a", encoding="utf-8") as errors:
        faulthandler.dump_traceback_later(seconds, exit=True, file=errors)
        try:
            run(name, section, bench, report)
        finally:
            faulthandler.cancel_dump_traceback_later()


def run(name: str, section: Section, bench: Bench, report: Report) -> None:
    """One section, case by case."""
    began = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        for what, case in section(bench):
            attempt(name, what, case, bench, report)
    except Exception as error:  # whatever it is, the other sections go on
        told(name, "its preparation", error, bench, report)
    report.finish(name, time.monotonic() - began)


def attempt(name: str, what: str, case: Callable[[], Figure], bench: Bench, report: Report) -> None:
    """One case: its figure and the memory that the card held meanwhile, or its error."""
    on_card = bench.device.type == "cuda"
    gc.collect()
    try:
        if on_card:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        figure = case()
        peak = torch.cuda.max_memory_allocated() if on_card else None
        report.add(name, what, figure, peak)
    except Exception as error:  # whatever it is, the other cases go on
        told(name, what, error, bench, report)


def told(name: str, what: str, error: Exception, bench: Bench, report: Report) -> None:
    """Take note of an error: a line in the table, all of it in errors.txt."""
    line = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    report.fail(name, what, line)
    with (bench.out / "errors.txt").open("a", encoding="utf-8") as file:
        file.write(f"--- {name}: {what}\n{''.join(traceback.format_exception(error))}\n")


if __name__ == "__main__":
    sys.exit(main())

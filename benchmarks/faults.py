"""Bad commands and damaged files, drawn anew from a seed: how many end in anything but a sentence.

    python benchmarks/faults.py --seed 0 --count full
    python benchmarks/faults.py --only files --kinds TIFF --show

400 commands of the real grammar with something wrong in them, and 1,074 files of every kind that
were truncated, flipped, zeroed, shuffled, or whose values were replaced. Each is tried by the
command that reads it, in one of two processes; a trial that takes too long ends its process.

    refused      a sentence and an exit code other than 0
    fine         what is left is read, or the command's checks are passed
    other        fine, and something else is read than from the whole file: the format has no
                 checksum, or what was replaced is as good a value
    silent       the same of a file whose format lets the difference be seen
    noise        refused, but other lines come with the sentence
    traceback, hang, half-written, memory    what must not be
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue

import numpy as np
import tifffile

from fault_commands import bad_command, pools
from fault_files import damaged, make_files
from fault_trials import End, Trial, content_of, work

COUNTS = {"full": (400, 1074), "small": (40, 75)}
PATIENCE = 60.0
"""Seconds for a trial."""

MOST_MEMORY = 2_000_000
"""kB that a trial may add."""

CHECKED = ("model.safetensors", "checkpoint.pt", ".onnx", "TIFF, zlib", "TIFF, tiled", "PNG")
"""Kinds whose bytes have a checksum."""

WORDS = ["refused", "fine", "other", "silent", "noise", "traceback", "hang", "half-written",
         "memory"]  # fmt: skip
"""How a trial may end; from the fourth on it is printed."""

VALUES = ("values_description", "values_torch")
"""Ways that leave a whole file of other values."""


def command_for(kind: str, file: Path, base: Path) -> list[str]:
    """The command that reads a file of this kind."""
    image, out = str(base / "data/val/images/0.png"), ["--out", "out", "--no_overlay"]
    if kind in ("model.safetensors", ".onnx", ".pth"):
        return ["predict", str(file), image, *out]
    if kind == "PNG mask":
        return ["check", str(file.parents[2])]
    if kind == "COCO json":
        model, data = str(base / "squares"), str(file.parents[1])
        return ["evaluate", model, data, "--split", "val", "--out", "out"]
    if kind == "zarr metadata":
        return ["check", str(file.parents[3])]
    if kind == "checkpoint.pt":
        return ["train", str(base / "data"), "--resume", "--out", str(file.parent)]
    if kind == "recipe":
        return ["train", str(base / "data"), "--config", str(file), "--out", "out"]
    if kind == "settings.json":
        return ["predict", str(base / "run"), image, "--out", str(file.parent), "--no_overlay"]
    return ["predict", str(base / "run"), str(file), *out]


def copied(kind: str, file: Path, folder: Path) -> Path:
    """The file in a copy of the folder that it is read with."""
    depth = {"PNG mask": 3, "COCO json": 2, "zarr metadata": 4, "settings.json": 1,
             "checkpoint.pt": 1}.get(kind, 0)  # fmt: skip
    if depth == 0:
        return Path(shutil.copy(file, folder / file.name))
    top = file.parents[depth - 1]
    shutil.copytree(top, folder / top.name)
    return folder / top.name / file.relative_to(top)


def drawn(
    seed: int,
    counts: tuple[int, int],
    made: dict[str, Path],
    files: dict[str, Path],
    base: Path,
    only: str,
) -> Iterator[Trial]:
    """The trials, one by one as they are asked for."""
    number = 0
    for number in range(counts[0] if only != "files" else 0):
        folder = Path(tempfile.mkdtemp(dir=base / "trials"))
        rng = np.random.default_rng((seed, 0, number))
        yield Trial(number, "command", "", bad_command(rng, pools(made, folder)), folder)
    kinds = list(files)
    for i in range(counts[1] if only != "commands" else 0):
        kind, rng = kinds[i % len(kinds)], np.random.default_rng((seed, 1, i))
        folder = Path(tempfile.mkdtemp(dir=base / "trials"))
        file = copied(kind, files[kind], folder)
        way, content = damaged(kind, file.read_bytes(), rng)
        file.write_bytes(content)
        arguments = command_for(kind, file, base)
        yield Trial(counts[0] + i, kind, way, arguments, folder, file)


def ended(trial: Trial, end: End | None, whole: dict[str, str]) -> str:
    """The word for how a trial ended."""
    if end is None:
        return "hang"
    if isinstance(end.code, str) or "Traceback" in end.said:
        return "traceback"
    if end.memory > MOST_MEMORY:
        return "memory"
    if end.code != 0 and (trial.folder / "out").exists() and _half_written(trial.folder / "out"):
        return "half-written"
    if end.code == 0 and trial.file is not None and end.read not in (None, whole[trial.kind]):
        is_seen = trial.kind.startswith(CHECKED) and trial.way not in VALUES
        return "silent" if is_seen and not trial.kind.startswith("PNG mask") else "other"
    if end.code == 0:
        return "fine"
    lines = [line for line in end.said.splitlines() if not line.startswith("compiling for")]
    if trial.arguments[0] == "check":  # which names every problem, a line each
        return "refused"
    told = sum(line.startswith("spatialembed: ") for line in lines)
    return "refused" if told <= 1 and (len(lines) <= 1 or trial.kind != "command") else "noise"


def _half_written(out: Path) -> bool:
    """Whether a folder holds a temporary file, or one that cannot be read."""
    for path in out.rglob("*"):
        if path.name.startswith("."):
            return True
        if path.suffix == ".tif":
            try:
                tifffile.imread(path)
            except Exception:  # of what is half written anything
                return True
    return False


def run(
    trials: Iterator[Trial], whole: dict[str, str], processes: int, show: bool
) -> Counter[tuple[str, str]]:
    """Count how trials end, over several processes."""
    waiting, counts, lock = Queue(maxsize=4), Counter(), threading.Lock()

    def attend() -> None:
        process, connection = _start()
        while (trial := waiting.get()) is not None:
            connection.send(trial)
            end = connection.recv() if _answers(connection, process) else None
            word = ended(trial, end, whole)
            with lock:
                counts[trial.kind, word] += 1
                if show or word in WORDS[3:]:
                    _print(trial, end, word)
            shutil.rmtree(trial.folder, ignore_errors=True)
            if end is None or end.memory > MOST_MEMORY:
                process.kill()
                process, connection = _start()
        connection.close()

    threads = [threading.Thread(target=attend) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for trial in trials:
        waiting.put(trial)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return counts


def _start() -> tuple[multiprocessing.Process, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _answers(connection: Connection, process: multiprocessing.Process) -> bool:
    """Whether a trial ends in time, and its process with it not."""
    try:
        return connection.poll(PATIENCE) and process.is_alive()
    except (EOFError, OSError):
        return False


def _print(trial: Trial, end: End | None, word: str) -> None:
    last = "" if end is None else str(end.code).strip().splitlines()[-1] + " | " + end.said[-300:]
    print(f"{word}: {trial.number} {trial.kind} {trial.way} {' '.join(trial.arguments)}: {last}",
          flush=True)  # fmt: skip


def table(counts: Counter[tuple[str, str]], seconds: float) -> None:
    """Print the counts, a line a kind."""
    print(f"\n| what | trials | {' | '.join(WORDS)} |\n|{'---|' * (len(WORDS) + 2)}")
    kinds = list(dict.fromkeys(kind for kind, _ in counts))
    for kind in sorted(kinds):
        row = [counts[kind, word] for word in WORDS]
        print(f"| {kind} | {sum(row)} | {' | '.join(map(str, row))} |")
    total = [sum(counts[kind, word] for kind in kinds) for word in WORDS]
    print(f"| all | {sum(total)} | {' | '.join(map(str, total))} |\n\n{seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", choices=COUNTS, default="small")
    parser.add_argument("--only", choices=("commands", "files", "both"), default="both")
    parser.add_argument("--kinds", default="", help="only files of kinds that begin so")
    parser.add_argument("--show", action="store_true", help="print every trial")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "trials").mkdir()
        made = make_files(base)
        files = {kind: path for kind, path in made.items() if kind.startswith(given.kinds)}
        whole = {kind: content_of(kind, path) for kind, path in files.items()}
        trials = drawn(given.seed, COUNTS[given.count], made, files, base, given.only)
        counts = run(trials, whole, 2, given.show)
        os.chdir("/")
    table(counts, time.monotonic() - began)


if __name__ == "__main__":
    main()

"""Training on DSB2018 from nothing for some minutes on a card, and its AP on validation images."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gpu_timing import Bench, Case, Figure
from spatialembed.inference.evaluate import evaluate
from spatialembed.inference.loading import load

AFTER = 30.0
"""Seconds for starting the training's process and for scoring its model."""

EARLIER = 0.698
"""Validation mean AP after 24 minutes on two CPU cores; see accuracy.md."""

MOST_WORKERS = 14


def training(bench: Bench) -> Iterator[Case]:
    """The recipe of nuclei on the given data, then the score of its model."""
    if bench.dsb2018 is None:
        return
    out = bench.scratch / "dsb2018"
    yield "training by the command", partial(train, bench, bench.dsb2018, out)
    for row in rows(out / "validation.csv"):
        told = f"AP50 {float(row['ap50']):.3f}, before calibration"
        yield f"AP after step {row['step']}", partial(Figure, float(row["ap"]), "", told)
    for symmetries in (False, True):
        name = "validation mean AP" + (", symmetries" if symmetries else "")
        yield name, partial(score, bench, bench.dsb2018, out, symmetries)


def train(bench: Bench, data: Path, out: Path) -> Figure:
    """Train in a process of its own, for what is left of the time at most."""
    left = (bench.stop - time.monotonic() - AFTER) / 60
    length = ["--minutes", f"{min(bench.minutes, left):.2f}"]
    if bench.small:
        tiny = [f"--network_options.{name}" for name in ("widths=[8,16]", "blocks=[1,1]")]
        length = ["--steps", "2", "--batch", "2", *tiny]
    if left < 0.5:
        raise TimeoutError("no time is left to train")
    workers = min(MOST_WORKERS, max(1, (os.cpu_count() or 1) - 2))
    command = [
        sys.executable, "-m", "spatialembed", "train", data, "--config", "nuclei", "--out", out,
        "--device", bench.device, "--workers", workers, *length,
    ]  # fmt: skip
    began = time.monotonic()
    most = bench.stop - time.monotonic() - AFTER / 2
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=most)
    (bench.out / "training.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    logged = rows(out / "losses.csv")
    speed = f"{float(logged[-1]['crops_per_second']):.0f} crops a second, loader included"
    told = f"{' '.join(length)}, {workers} workers: {logged[-1]['step']} steps, {speed}"
    return Figure(time.monotonic() - began, beside=told)


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; none where it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def score(bench: Bench, data: Path, run: Path, symmetries: bool) -> Figure:
    """Mean AP over the validation images, which are held out of the training images."""
    model = load(run, str(bench.device), symmetries=symmetries)
    found = evaluate(model, data, "val")
    mean = found["mean"]["mean_over_images"]
    seconds = " + ".join(f"{found['seconds'][part] * 1e3:.0f} ms" for part in found["seconds"])
    told = f"AP50 {mean['ap'][0]:.3f}; {seconds} an image (network, clustering)"
    return Figure(mean["ap_mean"], "", f"{told}; {EARLIER} in 24 minutes on 2 cores")

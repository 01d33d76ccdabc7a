"""The commands, a typed function each: its signature is the grammar, its docstring the help.

Heavy parts load when a command runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from threading import Event
from typing import Any, Literal

from spatialembed.cli.convert import run_convert
from spatialembed.cli.evaluate import run_evaluate
from spatialembed.cli.export import run_export
from spatialembed.cli.options import read_recipe
from spatialembed.cli.predict import run_predict
from spatialembed.cli.track import run_track
from spatialembed.console.output import console, errors
from spatialembed.console.progress import track
from spatialembed.files.writing import require_writable
from spatialembed.training.config import TrainConfig


def run_demo(
    out: Path = Path("demo"), minutes: float | None = None, seed: int = 0, volumes: bool = False
) -> int:
    """Make street scenes, train on them, evaluate, predict and write a page about it.

    Args:
        out: folder for data, run, results and page; those of an earlier demo are made anew.
        minutes: how long to train; None for the recipe's own length, of volumes for five.
        seed: of data, weights and crops.
        volumes: the same of volumes: stacks of touching nuclei, instead of scenes.
    """
    from spatialembed.demo.pipeline import STREETS, VOLUMES, demo

    require_writable(out)
    subject, run = VOLUMES if volumes else STREETS, out / "run"
    options = [f"--out={run}", f"--seed={seed}"]
    if (length := subject.minutes if minutes is None else minutes) is not None:
        options.append(f"--minutes={length}")
    config = read_recipe(subject.recipe, out / subject.data, *options)
    page = demo(out, config, track, subject)
    console.print(f"Open {page}; label TIFFs and pictures are in {out / 'found'}", soft_wrap=True)
    console.print("Go on with:")
    for line in subject.further:
        console.print(f"  {line.format(run=quote(str(run)))}", soft_wrap=True)
    return 0


def run_check(
    data: Path,
    classes: list[str] | None = None,
    crowds: Literal["ignore", "objects"] = "ignore",
    label_first: int | None = None,
    groups: str | None = None,
) -> int:
    """Say what a data set holds and what is wrong with it, file by file.

    Args:
        data: folder of the data set.
        classes: classes to look at; all by default.
        crowds: what COCO's annotations marked iscrowd are.
        label_first: of a folder of images without masks, name so many that stand for all.
        groups: a csv or pattern that holds groups out for validation, as for train.
    """
    if label_first is not None:
        return _name_typical(data, label_first)
    from spatialembed.data.checks.check import check_data

    def progress(split: str, done: int, total: int) -> None:
        if done % 200 == 0:
            errors.print(f"{split}: {done} of {total} images read")

    report = check_data(data, classes, progress=progress, crowds=crowds, groups=groups)
    for line in report.lines():
        console.print(line, soft_wrap=True)
    return 1 if report.errors else 0


def _name_typical(folder: Path, count: int) -> int:
    from spatialembed.data.checks.label_first import label_first

    def progress(done: int, total: int) -> None:
        if done % 200 == 0:
            errors.print(f"{done} of {total} images read")

    named, problems = label_first(folder, count, progress)
    console.print("Label these first, in this order:")
    for file, stands_for in named:
        console.print(f"{file} (stands for {stands_for})", soft_wrap=True)
    for problem in problems:
        console.print(f"{'warning' if problem.warning else 'error'}: {problem}", soft_wrap=True)
    return 0 if all(problem.warning for problem in problems) else 1


def run_crops(
    data: Path,
    out: Path,
    size: int = 512,
    classes: list[str] | None = None,
    crowds: Literal["ignore", "objects"] = "ignore",
) -> int:
    """Store one crop around each object, as the paper did; training itself crops on the fly.

    Args:
        data: folder of the data set.
        out: folder for the crops, a data set again: train, and val from held-out images.
        size: side of a crop in pixels.
        classes: classes to take; the layout's own by default.
        crowds: what COCO's annotations marked iscrowd are.
    """
    from spatialembed.data import open_data
    from spatialembed.data.crops.stored import require_images, store_crops
    from spatialembed.data.index import object_index

    require_writable(out, "OUT")
    splits = [open_data(data, split, classes, crowds=crowds) for split in ("train", "val")]
    require_images(splits[0])
    indexed = [(dataset, object_index(dataset)) for dataset in splits]
    for dataset, index in indexed:
        count = store_crops(dataset, index, out, size)
        console.print(f"{dataset.split}: {count} crops in {out}")
    return 0


def run_train(config: TrainConfig) -> int:
    """Train a model on a data set, by a recipe or by options over one.

    Args:
        config: the run.
    """
    from spatialembed.embedding import PITCH
    from spatialembed.models.spec import ModelSpec
    from spatialembed.training import train

    require_writable(config.out)
    config.scheduled()
    if config.init is None and not config.resume:
        own, pitch = (config.network, config.network_options), (PITCH,) * config.dims
        margins: dict[str, Any] = {"n_sigma": config.n_sigma, "margin": config.margin}
        ModelSpec(*own, dims=config.dims, pitch=pitch, **margins).outline()
    folder = train(config)
    console.print(f"Trained: {folder}")
    return 0


def run_serve(
    model: str,
    host: str = "127.0.0.1",
    port: int = 7860,
    browser: bool = True,
    symmetries: bool = False,
    diameter: float | None = None,
    invert: bool = False,
    pixel_size: float | None = None,
    device: str = "auto",
    precision: Literal["float32", "bf16"] | None = None,
) -> int:
    """Open a web page: drop an image or stack in, see its instances, move the thresholds.

    Args:
        model: a shipped model (`spatialembed models` lists them), run folder, model file, exported
            .onnx or authors' file.
        host: address to listen on; the default can be reached from this machine alone.
        port: of the page.
        browser: open it in the browser.
        symmetries: average over the symmetries of training: better, up to 8 times slower.
        diameter: pixels across of objects in the images; those of training by default.
        invert: exchange dark and bright, where objects are dark and were bright in training.
        pixel_size: micrometres that a pixel is wide, where files do not state it, or wrongly.
        device: auto, cpu, cuda, ….
        precision: float32 or bf16; by default float32, of nuclei on a processor int8. An
            exported model has its own.
    """
    from spatialembed.app.web_page import require_free, serve
    from spatialembed.inference.loading import load

    require_free(host, port)
    loaded = load(model, device, precision, symmetries, diameter, invert, pixel_size)
    page, address = serve(loaded, host, port, browser)
    console.print(f"Open {address} (Ctrl+C ends it)")
    try:
        Event().wait()
    finally:
        page.close(verbose=False)
    return 0


def run_models() -> int:
    """List the shipped models, a line each: what for, channels, training data, size, licence."""
    from spatialembed.models.shipped import shipped

    for model in shipped():
        console.print(model.line, soft_wrap=True)
    return 0


# The functions are not named like the commands: jsonargparse looks a function's name up in every
# package above it, and would find the library's own `evaluate` there and load torch for it.
COMMANDS: dict[str, Callable[..., int]] = {
    "demo": run_demo,
    "check": run_check,
    "convert": run_convert,
    "crops": run_crops,
    "train": run_train,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "track": run_track,
    "export": run_export,
    "serve": run_serve,
    "models": run_models,
}

"""What faults.py asks for: commands of the real grammar with something wrong in each."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.cli.commands import COMMANDS
from spatialembed.cli.options import FLAGS
from spatialembed.training.config import TrainConfig

VALUES = [
    "", "abc", "-1", "0", "1", "0.5", "1e999", "nan", "inf", "-inf", "1000000000", str(10**30),
    "1.5", "true", "None", "[1]", "{}", "{a: 1}", "é", "a b", "--", "../..", "/", "/proc/x",
    "/dev/null", "*", "car", "cpu", "cuda:9", "int8", "bf16", "val", "coco", "&a [*a]", "%s",
    "${x}", "~",
]  # fmt: skip
"""Of options of any type: some of them fit."""

FIRST = {"model": "models", "data": "folders", "images": "images", "out": "outs"}
"""What a command is given without a name -> the pool that it is drawn from."""


def pools(files: dict[str, Path], folder: Path) -> dict[str, list[str]]:
    """Paths that are right and wrong for each place, each wrong in its own way."""
    base = files["recipe"].parent
    every = [str(path) for path in files.values()]
    none = [str(base / "none"), "", "no/such/file.tif", ".", str(base)]
    return {
        "models": ["nuclei", "nucleus", str(base / "run"), str(base / "m.onnx"), *every, *none],
        "folders": [str(base / "data"), str(base / "coco"), str(base / "plain"), *every, *none],
        "images": [str(base / "data/val/images"), f"{base}/plain/*.tif", *every, *none],
        "outs": [str(folder / "out"), str(folder / "o.onnx"), str(folder / "o.zarr"), every[0],
                 f"{every[0]}/in", "", "/proc/none"],
    }  # fmt: skip


def bad_command(rng: np.random.Generator, places: dict[str, list[str]]) -> list[str]:
    """A command with one to three things drawn wrongly, or at random, in it."""
    name = str(rng.choice(list(COMMANDS)))
    command = COMMANDS[name]
    given = [name]
    for parameter in inspect.signature(command).parameters.values():
        if parameter.default is inspect.Parameter.empty:
            pool = "data" if parameter.name == "config" else parameter.name
            given.append(str(rng.choice(places[FIRST[pool]][:3] if rng.random() < 0.6 else
                                        places[FIRST[pool]])))  # fmt: skip
    options = [option for option in _options(command) if option != "browser"]
    for _ in range(rng.integers(1, 4)):
        given += _option(rng, str(rng.choice(options)), places)
    if name == "serve":
        given.append("--no_browser")
    if "out" in options and "--out" not in " ".join(given):
        given += ["--out", places["outs"][0]]
    return _misspelt(rng, given)


def _options(command: Callable[..., Any]) -> list[str]:
    """Names of a command's options; not of what is given without a name."""
    names = ["config", *(field.name for field in fields(TrainConfig) if field.name != "data")]
    given = inspect.signature(command).parameters
    if "config" not in given:
        names = [name for name, one in given.items() if one.default is not one.empty]
    return names + [f"no_{name}" for name in names if name in FLAGS]


def _option(rng: np.random.Generator, name: str, places: dict[str, list[str]]) -> list[str]:
    pool = {"out": "outs", "config": "models", "init": "models", "data": "folders",
            "annotations": "models"}.get(name)  # fmt: skip
    values = places[pool] if pool else VALUES
    value = str(rng.choice(values)) if rng.random() < 0.9 else None
    written = name.replace("_", "-") if rng.random() < 0.3 else name
    if value is None:
        return [f"--{written}"]
    return [f"--{written}={value}"] if rng.random() < 0.5 else [f"--{written}", value]


def _misspelt(rng: np.random.Generator, given: list[str]) -> list[str]:
    """Now and then a letter, a word or the command's name is wrong too."""
    draw = rng.random()
    if draw < 0.06:
        return [given[0][:-1] + "x", *given[1:]]
    if draw < 0.16:
        place = int(rng.integers(1, len(given) + 1))
        return [*given[:place], "surplus", *given[place:]]
    if draw < 0.24 and len(given) > 1:
        place = int(rng.integers(1, len(given)))
        return given[:place] + given[place + 1 :]
    if draw < 0.34:
        return [word + "e" if word.startswith("--") and "=" not in word else word for word in given]
    return given

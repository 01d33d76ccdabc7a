"""Runs that kill themselves at a named moment, as ``kill -9`` would, and what must then hold."""

import csv
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from spatialembed.console.output import console
from spatialembed.errors import UserError
from spatialembed.files.folder_lock import one_run
from spatialembed.training import StageConfig, TrainConfig, best_model, loop, train
from spatialembed.training.run_log import RunLog

STAGES = [  # of 12 steps a checkpoint lies within a row of losses, which are of 10 steps
    StageConfig(crop_size=32, batch_size=2, steps=12, validations=2),
    StageConfig(crop_size=32, batch_size=1, steps=2, validations=1, freeze_batch_norm=True),
]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill(
    owner: object, name: str, nth: int = 1, to: str = "", before: bool = True, then: str = ""
) -> None:
    """Die before or after the ``nth`` call of a function whose last argument ends in ``to``.

    Instead of dying, lie in wait for the moment of name ``then``.
    """
    original, calls = getattr(owner, name), 0

    def wrapped(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += not to or str(args[-1]).endswith(to)
        here = calls == nth and (not to or str(args[-1]).endswith(to))
        if here and before:
            die()
        result = original(*args, **kwargs)
        if here and then:
            MOMENTS[then]()
        elif here:
            die()
        return result

    setattr(owner, name, wrapped)


def tear(name: str) -> None:
    """Die when half of a file's first row is written."""
    write = RunLog._write

    def torn(self: RunLog, table: str, row: dict[str, object]) -> None:
        if table != name:
            write(self, table, row)
            return
        with (self.out / f"{name}.csv").open("a") as file:
            file.write(",".join(row) + "\n1")
        die()

    RunLog._write = torn


replaced = partial(kill, os, "replace")
calibrated = partial(kill, best_model, "calibrate", before=False)

MOMENTS: dict[str, Callable[[], None]] = {
    "before the data is indexed": partial(
        kill, import_module("spatialembed.data.index"), "save_index"
    ),
    "in the writing of the index": partial(replaced, to=".npz"),
    "in the writing of the first checkpoint": partial(replaced, to="checkpoint.pt"),
    "after the first checkpoint": partial(replaced, to="checkpoint.pt", before=False),
    "in the first step": partial(kill, loop, "advance"),
    "after the second step": partial(kill, loop, "advance", 2, before=False),
    "in the writing of the first model": partial(replaced, to="model.safetensors"),
    "between the first model and its checkpoint": partial(
        replaced, to="model.safetensors", before=False
    ),
    "in the writing of a picture": partial(replaced, 2, to=".png"),
    "in the writing of a row of validations": partial(tear, "validation"),
    "in the writing of the second checkpoint": partial(replaced, 2, to="checkpoint.pt"),
    "after the second checkpoint": partial(replaced, 2, to="checkpoint.pt", before=False),
    "in the writing of a row of losses": partial(tear, "losses"),
    "in the first step of the second stage": partial(kill, loop, "advance", 13),
    "in the writing of the last checkpoint of a stage": partial(replaced, 4, to="checkpoint.pt"),
    "in the calibration": partial(kill, best_model, "calibrate"),
    "in the writing of the calibrated model": partial(
        calibrated, then="in the writing of the first model"
    ),
    "after the calibrated model": partial(
        calibrated, then="between the first model and its checkpoint"
    ),
    "in the writing of the last checkpoint": partial(
        calibrated, then="in the writing of the first checkpoint"
    ),
    "after the last checkpoint": partial(calibrated, then="after the first checkpoint"),
}


def config_of(data: Path, out: Path) -> TrainConfig:
    """A run of seconds."""
    options = {"widths": [4, 8], "blocks": [1, 1]}
    network = {"network": "residual_unet", "network_options": options, "average": 0.9}
    here = {"device": "cpu", "precision": "float32", "workers": 0}
    return TrainConfig(data=data, out=out, stages=STAGES, **network, **here)


def resumed(data: Path, out: Path) -> TrainConfig:
    """The run in a folder, taken up again."""
    return TrainConfig(data=data, out=out, resume=True, device="cpu", workers=0)


def started(config: TrainConfig, moment: str | None = None) -> BaseProcess:
    """A run in a process of its own, which dies at ``moment``."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # the library is loaded once for all of them
    process = context.Process(target=_run, args=(config, moment))
    process.start()
    return process


def run(config: TrainConfig, moment: str | None = None) -> int | None:
    """The exit code of a run in a process of its own, which dies at ``moment``."""
    process = started(config, moment)
    process.join()
    return process.exitcode


def holding(out: Path) -> BaseProcess:
    """A process that holds a run's folder until it is killed."""
    process = get_context("forkserver").Process(target=_hold, args=(out,))
    process.start()
    while not (out / "held").exists():
        time.sleep(0.01)
    (out / "held").unlink()
    return process


def _hold(out: Path) -> None:
    with one_run(out):
        (out / "held").touch()
        signal.pause()


def _run(config: TrainConfig, moment: str | None) -> None:
    torch.set_num_threads(1)
    best_model.PICTURES = 1
    console.quiet = True
    if moment is not None:
        MOMENTS[moment]()
    train(config)


def go_on(data: Path, out: Path) -> str:
    """Take up a run that was killed, whichever way its folder is left for; says which.

    The other way is refused.
    """
    ways = [("--resume", resumed(data, out)), ("anew", config_of(data, out))]
    if not (out / "checkpoint.pt").exists():
        ways.reverse()
    (name, way), (_, other) = ways
    with pytest.raises(UserError, match=r"add --resume|start without --resume"):
        loop._taken_up(other)
    assert run(way) == 0
    return name


def assert_same(one: Path, other: Path) -> None:
    """Two finished runs left the same, but for times."""
    name = "model.safetensors"
    assert (one / name).read_bytes() == (other / name).read_bytes()
    first, second = (torch.load(out / "checkpoint.pt", weights_only=True) for out in (one, other))
    assert first["step"] == second["step"]
    for state, expected in ((second, first), (second["average"], first["average"])):
        for key, tensor in expected["network"].items():
            assert torch.equal(state["network"][key], tensor), key
    for name in ("losses.csv", "validation.csv"):
        assert rows(one / name) == rows(other / name)
    pictures = ({path.name for path in (out / "pictures").iterdir()} for out in (one, other))
    assert next(pictures) == next(pictures)
    assert not [path for path in other.rglob(".*") if path.is_file()]


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table of a run without what took how long."""
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    return [{k: v for k, v in r.items() if k not in ("seconds", "crops_per_second")} for r in table]

"""A resumed run reads its checkpoint and its data, and nothing else; it is alone in its folder."""

import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import killed
import numpy as np
import pytest
import torch
from PIL import Image

from spatialembed.data.index import object_index
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.errors.interrupts import postponed
from spatialembed.files.folder_lock import one_run
from spatialembed.training import StageConfig, TrainConfig, loop, minutes, run, train
from spatialembed.training.fingerprint import fingerprint, require_same
from spatialembed.training.run_log import RunLog


@pytest.fixture
def data(tmp_path) -> Path:
    """Six pairs of image and mask."""
    rng = np.random.default_rng(0)
    for i in range(6):
        for kind in ("images", "masks"):
            path = tmp_path / "data" / "train" / kind / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.zeros((48, 64), np.uint8)
            array[8 + i : 24, 10:30] = 1
            if kind == "images":
                array = array * 100 + rng.integers(0, 50, array.shape, np.uint8)
            Image.fromarray(array).save(path)
    return tmp_path / "data"


def looks(data: Path) -> dict:
    train = open_data(data, "train", holdout=0)
    return fingerprint(train, object_index(train))


def test_a_copy_of_the_data_is_the_same(data, tmp_path) -> None:
    copy = tmp_path / "copy"
    for path in sorted(data.rglob("*.png"), reverse=True):
        target = copy / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        os.utime(target, (1, 1))
    require_same(open_data(copy, "train"), "training", looks(data), looks(copy))


def test_data_that_changed_is_refused_by_name(data) -> None:
    before = looks(data)
    (data / "train" / "images" / "0.png").unlink()
    (data / "train" / "masks" / "0.png").unlink()
    for kind in ("images", "masks"):
        shutil.copy(data / "train" / kind / "1.png", data / "train" / kind / "new.png")
    mask = np.asarray(Image.open(data / "train" / "masks" / "2.png")).copy()
    mask[40, 40] = 2
    Image.fromarray(mask).save(data / "train" / "masks" / "2.png")
    image = np.asarray(Image.open(data / "train" / "images" / "3.png")).copy()
    image[30, 30] ^= 1
    Image.fromarray(image).save(data / "train" / "images" / "3.png")
    told = r"training images .*: 1 added \(new\), 1 removed \(0\), 2 changed \(2, 3\); restore them"
    with pytest.raises(UserError, match=told):
        require_same(open_data(data, "train"), "training", before, looks(data))


def short(data: Path, out: Path, **options: object) -> TrainConfig:
    small = {"network": "residual_unet", "network_options": {"widths": [4, 8], "blocks": [1, 1]}}
    stage = StageConfig(crop_size=32, batch_size=1, steps=2, validations=2)
    here = {"device": "cpu", "precision": "float32", "workers": 0, "average": 0.9}
    return TrainConfig(**{"data": data, "out": out, "stages": [stage], **small, **here, **options})


def middle_of(monkeypatch, out: Path, when) -> Path:
    """A copy of a run's folder from right after the checkpoint that ``when`` is true of."""
    middle, save = out.with_name("middle"), run.save_checkpoint

    def saved(folder: Path, config: TrainConfig, state: dict) -> None:
        save(folder, config, state)
        if not middle.exists() and when(state):
            shutil.copytree(folder, middle)

    monkeypatch.setattr(run, "save_checkpoint", saved)
    return middle


def test_a_resumed_run_reads_nothing_but_its_checkpoint_and_data(data, tmp_path, monkeypatch):
    first, out = train(short(data, tmp_path / "first")), tmp_path / "whole"
    middle = middle_of(monkeypatch, out, lambda state: state["step"] == 1)
    train(short(data, out, init=first, careful=False))
    shutil.rmtree(first)
    (middle / "model.safetensors").unlink()
    train(TrainConfig(data=data, out=middle, resume=True, device="cpu", workers=0))
    killed.assert_same(out, middle)
    (data / "train" / "images" / "1.png").unlink()
    (data / "train" / "masks" / "1.png").unlink()
    with pytest.raises(UserError, match=r"1 removed \(1\)"):
        train(TrainConfig(data=data, out=middle, resume=True, device="cpu", workers=0))


@pytest.mark.parametrize("step", [1, 3])
def test_ctrl_c_leaves_a_checkpoint_of_the_step_under_way(data, tmp_path, monkeypatch, step):
    stage = StageConfig(crop_size=32, batch_size=1, steps=5, validations=1)
    out, stopped, advance, calls = tmp_path / "whole", tmp_path / "stopped", loop.advance, []
    train(short(data, out, stages=[stage]))

    def interrupted(*given):
        calls.append(given)
        if len(calls) == step:
            signal.raise_signal(signal.SIGINT)
        return advance(*given)

    monkeypatch.setattr(loop, "advance", interrupted)
    # What a shell starts in the background ignores Ctrl+C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as error:
            train(short(data, stopped, stages=[stage]))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert "--resume goes on" in "".join(error.value.__notes__)
    state = torch.load(stopped / "checkpoint.pt", weights_only=True)
    assert state["step"] == step == len(calls)
    train(TrainConfig(data=data, out=stopped, resume=True, device="cpu", workers=0))
    killed.assert_same(out, stopped)


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    told = []
    try:
        with postponed(lambda: told.append(1)) as waiting:
            signal.raise_signal(signal.SIGINT)
            assert waiting == [KeyboardInterrupt]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == [1]


def test_a_plan_made_beside_another_job_is_set_right_once_and_resumed_so(
    data, tmp_path, monkeypatch, capsys
) -> None:
    clock = iter(np.arange(0, 1000, 0.1))
    monkeypatch.setattr(minutes, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    monkeypatch.setattr(minutes, "seconds_per_step", lambda *_: 0.5)
    monkeypatch.setattr(minutes, "_seconds_per_validation", lambda *_: 0.0)
    monkeypatch.setattr("spatialembed.training.loop.time", SimpleNamespace(monotonic=lambda: 0.0))
    stages = [
        StageConfig(crop_size=32, batch_size=1, minutes=0.2, validations=1),
        StageConfig(crop_size=32, batch_size=1, minutes=0.1, validations=1),
    ]
    out = tmp_path / "whole"
    middle = middle_of(monkeypatch, out, lambda state: state["step"] and state["pace"] is None)
    train(short(data, out, stages=stages))
    said = capsys.readouterr().out
    assert "24 + 12 steps" in said
    assert said.count("measured again: a step takes 0.10 s, was planned with 0.50 s") == 1
    state, then = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (out, middle))
    assert state["plan"] == then["plan"]
    assert then["step"] == 10
    assert state["step"] == sum(state["plan"])
    first, second = state["plan"]
    assert 110 <= first <= 120
    assert 59 <= second <= 60
    train(TrainConfig(data=data, out=middle, resume=True, device="cpu", workers=0))
    killed.assert_same(out, middle)


def test_a_plan_that_fits_is_kept() -> None:
    stages = [StageConfig(minutes=1, validations=1)]
    plan = minutes.Plan((100,))
    held = minutes.Pace([0.6], 0.0, 0, 10, since=time.monotonic())
    held.counted, held.stepping, held.spent = 10, 6.1, 6.1
    assert held.plan(plan, stages, 10)[0] == plan
    held.stepping = 12.0  # twice as slow
    assert held.plan(plan, stages, 10)[0].total == pytest.approx(10 + 53.9 / 1.2, abs=1)
    again = minutes.Pace(**held.state())
    assert (again.counted, again.stepping, again.at, again.step) == (10, 12.0, 10, [0.6])


def test_a_second_training_in_a_folder_is_refused(data, tmp_path) -> None:
    out = tmp_path / "run"
    process = killed.holding(out)
    with pytest.raises(UserError, match="another training is at work in"):
        train(short(data, out))
    process.kill()
    process.join()
    assert (out / ".lock").exists()  # and nobody's any more
    train(short(data, out))
    assert not (out / ".lock").exists()


def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), one_run(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()


def test_a_row_of_losses_goes_on_where_it_was(tmp_path) -> None:
    log = RunLog(tmp_path, 20)
    for step in range(1, 15):
        log.step(step, 0.1, 2, {"total": float(step)})
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("1")  # what a kill leaves of a row
    log = RunLog(tmp_path, 20, step=14, sums=log.sums)
    for step in range(15, 21):
        log.step(step, 0.1, 2, {"total": float(step)})
    rows = killed.rows(tmp_path / "losses.csv")
    assert [(row["step"], row["total"]) for row in rows] == [("10", "5.5"), ("20", "15.5")]

"""Whole runs on generated scenes: what they leave, and how they stop."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.training import StageConfig, TrainConfig, limits, loop, minutes, train
from spatialembed.training.unread import Unread


def smoke(scenes: Path, out: Path, *options: str):
    return read_recipe("smoke", scenes, f"--out={out}", "--device=cpu", *options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_model_logs_and_pictures(scenes, tmp_path) -> None:
    out = train(smoke(scenes, tmp_path / "run", "--tensorboard=true"))
    model = se.load(out)
    assert model.spec.class_names == ("car",)
    assert model.spec.in_channels == 3
    assert model.spec.trained_on == "scenes"
    assert model.spec.object_diameter > 5
    assert model.spec.training["calibrated"]["images"] == 2
    assert model.spec.training["symmetries"] == 8
    assert model.spec.training["looks"]["images"] == model.spec.training["calibrated"]["images"]
    losses = rows(out / "losses.csv")
    assert [row["step"] for row in losses] == ["5"]
    assert {"instance", "variance", "seed", "total", "learning_rate"} <= set(losses[0])
    validations = rows(out / "validation.csv")
    assert [(row["step"], row["images"]) for row in validations] == [("3", "2"), ("5", "2")]
    assert len(list((out / "pictures").glob("*.png"))) == 4
    assert list((out / "tensorboard").glob("events*"))
    assert not list(out.glob(".*"))  # no temporary file is left


def test_objects_are_shown_at_the_diameter_that_is_asked_for(scenes, tmp_path) -> None:
    out = train(smoke(scenes, tmp_path / "run", "--diameter=40", "--refine=true"))
    model = se.load(out)
    assert model.spec.zoom == pytest.approx(40 / model.spec.object_diameter, abs=0.01)
    assert model.spec.refine
    twice = se.load(out, diameter=model.spec.object_diameter / 2)
    assert twice.zoom == pytest.approx(2 * model.zoom)
    assert twice.predict(np.zeros((50, 60, 3), np.uint8)).label_map.shape == (50, 60)


def test_several_classes_are_trained_and_scored_each(scenes, tmp_path) -> None:
    classes = ["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]
    out = train(smoke(scenes, tmp_path / "run", "--classes", *classes))
    evaluation = se.evaluate(out, scenes)
    assert list(evaluation["classes"]) == classes
    assert list(evaluation["official"]["classes"]) == classes


def test_minutes_become_steps_once_and_are_stored(scenes, tmp_path, capsys) -> None:
    out = train(smoke(scenes, tmp_path / "run", "--minutes=0.05"))
    assert "minutes: " in capsys.readouterr().out
    plan = torch.load(out / "checkpoint.pt", weights_only=True)["plan"]
    assert len(plan) == 2
    assert min(plan) >= 1


def test_steps_have_their_share_of_the_minutes_however_long_validations_take() -> None:
    stages = [StageConfig(minutes=5.0, validations=3)]
    assert minutes.steps_within(stages, 0, step=0.5, validation=10.0) == 500  # 300 s − 5 · 10 s
    assert minutes.steps_within(stages, 0, step=0.5, validation=193.0) == 300
    assert minutes.steps_within(stages, 0, step=0.5, validation=193.0, spent=280.0, done=7) == 27


def test_a_trained_model_is_a_start(scenes, tmp_path) -> None:
    first = train(smoke(scenes, tmp_path / "first"))
    again = smoke(scenes, tmp_path / "second", f"--init={first}", "--steps=2")
    train(again)
    with pytest.raises(UserError, match="1 classes, the data 3 and 2"):
        train(smoke(scenes, tmp_path / "third", f"--init={first}", "--classes", "car", "bus"))


def test_a_run_takes_the_network_normalisation_and_thresholds_it_starts_from(scenes, tmp_path):
    first = train(smoke(scenes, tmp_path / "first", "--normalization=percentile", "--steps=1"))
    network, spec = load_model(first / "model.safetensors")
    spec = replace(spec, seed_threshold=0.7, foreground_threshold=0.4)
    save_model(tmp_path / "start.safetensors", network, spec)
    options = "--network=branched_erfnet", "--network_options={}", "--normalization=range"
    init = f"--init={tmp_path / 'start.safetensors'}"
    second = train(smoke(scenes, tmp_path / "second", init, "--steps=1", *options))
    found = load_model(second / "model.safetensors")[1]
    assert (found.network, found.network_options) == (spec.network, spec.network_options)
    assert found.normalization == spec.normalization
    assert (found.seed_threshold, found.foreground_threshold) == (0.7, 0.4)


def test_a_loss_that_is_not_finite_stops_and_names_the_images(scenes, tmp_path) -> None:
    out = tmp_path / "run"
    config = smoke(scenes, out, "--clip_norm=null", "--optimizer=adam", "--stages", _exploding())
    with pytest.raises(UserError, match=r"the (loss|gradient) is not finite .*drawnham_"):
        train(config)
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in state["network"].values())


def _exploding() -> str:
    stage = "crop_size: 64, batch_size: 2, validations: 1, decay: constant"
    calm, wild = "steps: 1, learning_rate: 1.0e-9", "steps: 9, learning_rate: 1.0e+30"
    return f"[{{{stage}, {calm}}}, {{{stage}, {wild}}}]"


def test_losses_that_are_read_ten_at_a_time_are_the_same(scenes, tmp_path, monkeypatch) -> None:
    """As on a GPU, with validations and checkpoints between."""
    stages = "--stages=[{crop_size: 32, batch_size: 2, steps: 25, validations: 2}]"
    runs = []
    for name in ("each", "ten"):
        runs.append(train(smoke(scenes, tmp_path / name, stages, "--workers=0")))
        monkeypatch.setattr(loop, "Unread", lambda fabric, log, every: Unread(fabric, log, 10))
    for name in ("losses.csv", "validation.csv"):
        times = {"seconds", "crops_per_second"}
        tables = [[{k: r[k] for k in r.keys() - times} for r in rows(out / name)] for out in runs]
        assert tables[0] == tables[1]
    assert [row["step"] for row in rows(runs[1] / "losses.csv")] == ["10", "20", "25"]


def test_too_little_memory_says_what_to_lower_and_keeps_the_checkpoint(
    scenes, tmp_path, monkeypatch, capsys
) -> None:
    def ran_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(loop, "advance", ran_out)
    recipe = ["--config=smoke", "--device=cpu", "--workers=0", "--batch=4"]
    assert main(["train", str(scenes), f"--out={tmp_path}", *recipe]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "memory ran out (steps of 4 crops of" in error
    assert all(word in error for word in ("--batch", "crop_size", "--precision bf16"))
    assert "Traceback" not in error
    assert (tmp_path / "checkpoint.pt").exists()


def test_one_batch_size_is_no_remedy_where_stages_have_their_own() -> None:
    stages = [StageConfig(512, 16, epochs=1), StageConfig(1024, 2, epochs=1)]
    with (
        pytest.raises(UserError, match=r"then 2 crops of 1024.* batch_size or crop_size") as raised,
        limits.steps_within_memory(TrainConfig(stages=stages)),
    ):
        raise torch.OutOfMemoryError
    assert "--batch" not in str(raised.value)


def test_what_has_no_deterministic_way_says_so(scenes, tmp_path, monkeypatch) -> None:
    config = TrainConfig(scenes, out=tmp_path, deterministic=True)
    monkeypatch.setattr(limits, "pick_device", lambda _: torch.device("cuda"))

    def fails() -> None:
        with limits.deterministic(config):
            assert torch.are_deterministic_algorithms_enabled()
            raise RuntimeError("that has no deterministic implementation")

    with pytest.raises(UserError, match="leave out --deterministic: that has no deterministic"):
        fails()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_is_not_overwritten(scenes, tmp_path) -> None:
    out = train(smoke(scenes, tmp_path / "run"))
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match=r"checkpoint.pt is there already.*--resume"):
        train(smoke(scenes, out))
    train(TrainConfig(data=scenes, out=out, resume=True))  # finished: nothing to do
    assert (out / "model.safetensors").read_bytes() == before


def test_images_of_another_number_of_channels_stop_the_run(tmp_path) -> None:
    from PIL import Image

    for k in range(4):
        for kind in ("images", "masks"):
            path = tmp_path / "data" / "train" / kind / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.zeros((64, 64) if kind == "masks" or k else (64, 64, 3), np.uint8)
            array[8:30, 8:30] = 1 if kind == "masks" else 99
            Image.fromarray(array).save(path)
    with pytest.raises(UserError, match="channels"):
        train(smoke(tmp_path / "data", tmp_path / "run", "--steps=20", "--holdout=0.3"))


def test_a_damaged_image_is_one_sentence_from_a_worker_too(scenes, tmp_path) -> None:
    import shutil

    data = shutil.copytree(scenes, tmp_path / "data")
    for path in data.glob("leftImg8bit/train/*/*.png"):
        path.write_bytes(path.read_bytes()[:900])
    first = next(data.glob("leftImg8bit/train/*/*0_leftImg8bit.png"))
    shutil.copy(next(scenes.glob("leftImg8bit/train/*/*0_leftImg8bit.png")), first)
    with pytest.raises(UserError) as caught:
        train(smoke(data, tmp_path / "run", "--workers=1", "--steps=30"))
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "leftImg8bit.png" in str(caught.value)


def test_crops_must_fit_the_network(scenes, tmp_path) -> None:
    stages = "[{crop_size: 72, batch_size: 2, steps: 1}]"
    with pytest.raises(UserError, match="multiple of 32 for this residual_unet, not 72"):
        train(smoke(scenes, tmp_path / "run", f"--stages={stages}", "--network_options={}"))


def test_a_demo_clears_only_a_demo(tmp_path) -> None:
    from spatialembed.demo.pipeline import demo

    (tmp_path / "scenes").mkdir()
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        demo(tmp_path, read_recipe("demo", tmp_path / "scenes"))
    assert (tmp_path / "scenes").exists()

"""Demos on next to nothing: what they leave, what they print, what they make anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import tifffile

from spatialembed.cli.main import main
from spatialembed.demo import pipeline
from spatialembed.demo.scenes import make_scenes
from spatialembed.demo.volumes import write_volumes
from spatialembed.errors import UserError
from spatialembed.training.config import TrainConfig

SMALL = {
    "STREETS": partial(make_scenes, train=4, val=1, size=(128, 64)),
    "VOLUMES": partial(write_volumes, train=1, val=1, test=1, shape=(16, 40, 40)),
}
TINY = {"widths": [4, 4], "blocks": [1, 1]}


@pytest.fixture
def asked(monkeypatch) -> list[TrainConfig]:
    """Has demos draw little and take two steps; gives the runs that they ask for."""
    runs: list[TrainConfig] = []
    whole = pipeline.train

    def train(config: TrainConfig) -> Path:
        runs.append(config)
        short = {"minutes": None, "steps": 2, "batch": 1, "workers": 0, "device": "cpu"}
        return whole(replace(config, network_options=TINY, **short))

    for name, make in SMALL.items():
        monkeypatch.setattr(pipeline, name, replace(getattr(pipeline, name), make=make))
    monkeypatch.setattr(pipeline, "train", train)
    return runs


def test_the_demo_of_volumes_leaves_data_model_scores_and_labels(asked, tmp_path, capsys) -> None:
    out = tmp_path / "of mine"
    (out / "scenes" / "leftImg8bit").mkdir(parents=True)  # of a demo of streets
    assert main(["demo", "--volumes", f"--out={out}", "--seed=3"]) == 0
    (run,) = asked
    assert (run.data, run.minutes, run.seed, run.dims) == (out / "volumes", 5, 3, 3)
    assert {path.name for path in out.iterdir()} == {"volumes", "run", "evaluation", "found"}
    printed = capsys.readouterr().out
    assert f"Open {out / 'evaluation' / 'page.html'}; " in printed
    assert f"predict '{out / 'run'}' STACKS" in printed  # as a shell takes it
    assert (out / "evaluation" / "page.html").is_file()
    assert tifffile.imread(out / "found" / "volume_000.tif").shape == (16, 40, 40)
    assert (out / "found" / "volume_000_overlay.png").is_file()


def test_the_demo_of_streets_leaves_the_same_and_cityscapes_results(asked, tmp_path) -> None:
    out = tmp_path / "d"
    assert main(["demo", f"--out={out}", "--minutes=2"]) == 0
    (run,) = asked
    assert (run.data, run.minutes, run.dims) == (out / "scenes", 2, 2)
    assert {path.name for path in out.iterdir()} == {"scenes", "run", "evaluation", "found"}
    assert (out / "evaluation" / "page.html").is_file()
    assert len(list((out / "found" / "cityscapes").rglob("*.txt"))) == 1


def test_minutes_and_seed_of_volumes_are_those_asked_for(tmp_path, monkeypatch, capsys) -> None:
    def train(config: TrainConfig) -> Path:
        raise UserError(f"{config.minutes} minutes, seed {config.seed}")

    quick = replace(pipeline.VOLUMES, make=lambda folder, seed: folder.mkdir(parents=True))
    monkeypatch.setattr(pipeline, "VOLUMES", quick)
    monkeypatch.setattr(pipeline, "train", train)
    words = ["demo", "--volumes", f"--out={tmp_path / 'd'}", "--minutes=0.5", "--seed=7"]
    assert main(words) != 0
    assert "0.5 minutes, seed 7" in capsys.readouterr().err

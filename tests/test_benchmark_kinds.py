"""The benchmark of many kinds of image: its split, its tables, and a run on generated kinds."""

import json
import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import generated
import kinds
import kinds_data
from kinds_jobs import Given, Job, attempt, scores_of
from kinds_report import page, shown
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import load_model


@pytest.fixture
def given(tmp_path) -> Given:
    """Two kinds that nothing was done with yet."""
    return Given(
        out=tmp_path,
        kinds={"phase": ("phase",), "bacteria": ("bacteria_colony", "bacteria_ecoli")},
        diameters={},
        device="cpu",
        precision="float32",
        workers=0,
        small=True,
        few_steps=2,
        stop=None,
    )


def folder(root: Path, name: str, images: list[str]) -> None:
    """Training images of a folder, one pixel each."""
    for part in ("images", "masks"):
        path = root / name / "train" / part
        path.mkdir(parents=True)
        for image in images:
            tifffile.imwrite(path / f"{image}.tif", np.ones((1, 1), np.uint8))


def parts(out: Path, name: str) -> tuple[set[str], set[str]]:
    """Names of the images that a set is trained and validated on."""
    train, val = (
        {file.stem for file in (out / name / part / "images").iterdir()}
        for part in ("train", "val")
    )
    return train, val


def test_groups_stay_whole(tmp_path):
    fields = [f"ds1_{n:05}" for n in range(9)]
    pairs = [f"ecoli{how}_{field}" for how in ("fl", "bf") for field in fields]
    colony = [f"colony_{n:02}" for n in range(15)]
    folder(tmp_path, "bacteria", [*pairs, *colony, "dapi_0", "dapi_1"])
    folder(tmp_path, "phase", [f"set{n:02}" for n in range(1, 46)])
    sets = [*kinds_data.KINDS["bacteria"], "phase"]
    kinds_data.split(tmp_path, sets, tmp_path / "out")
    train, val = parts(tmp_path / "out", "bacteria_colony")
    assert val == {"colony_12", "colony_13", "colony_14"}
    assert train == set(colony) - val
    assert [len(part) for part in parts(tmp_path / "out", "bacteria_dapi")] == [1, 1]
    train, val = parts(tmp_path / "out", "bacteria_ecoli")
    assert train | val == set(pairs)
    assert val
    assert {name[7:] for name in train}.isdisjoint(name[7:] for name in val)
    train, val = parts(tmp_path / "out", "phase")
    [five] = {(int(name[3:]) - 1) // 5 for name in val}
    assert val == {f"set{5 * five + k:02}" for k in range(1, 6)}
    assert not train & val


def test_tiles_of_pictures_are_not_split_without_their_table(tmp_path):
    folder(tmp_path, "dsb2018", ["a", "b", "c"])
    with pytest.raises(UserError, match=r"dsb2018_pictures\.csv"):
        kinds_data.split(tmp_path, ["dsb2018"], tmp_path / "out")
    (tmp_path / "dsb2018_pictures.csv").write_text("image,picture\na,1\nb,1\nc,2\n")
    kinds_data.split(tmp_path, ["dsb2018"], tmp_path / "out")
    assert sorted(parts(tmp_path / "out", "dsb2018")) == [{"a", "b"}, {"c"}]


def test_few_images_are_drawn_by_the_seed(tmp_path):
    root = kinds_data.generate(tmp_path / "data")
    kinds_data.split(root, ["cytology"], tmp_path)
    drawn = [kinds_data.few(tmp_path / "cytology", 2, k, tmp_path / f"few{k}") for k in range(6)]
    names = [open_data(path, "train").names for path in drawn]
    assert all(len(name) == 2 for name in names)
    assert len(set(map(tuple, names))) > 1
    assert all(set(n) <= parts(tmp_path, "cytology")[0] for n in names)
    assert open_data(drawn[0], "val").names == names[0]
    again = kinds_data.few(tmp_path / "cytology", 2, 0, tmp_path / "again")
    assert open_data(again, "train").names == names[0]


def results(out: Path) -> dict[str, int]:
    """When each result of a run was written."""
    return {path.stem: path.stat().st_mtime_ns for path in (out / "scores").iterdir()}


def test_a_run_leaves_tables_and_models_and_repeats_nothing(tmp_path, monkeypatch):
    words = ["kinds.py", "--small", "--trials", "1", "--device", "cpu", "--parallel", "1"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path)])
    assert kinds.main() == 0
    models = {path.stem: path for path in (tmp_path / "models").iterdir()}
    assert models.keys() == {"all", "without-tissue", "alone-tissue", "alone-cytology"}
    spec = load_model(models["all"])[1]
    assert spec.trained_on == "histology, cytology"
    assert spec.finds_size
    assert load_model(models["without-tissue"])[1].trained_on == "cytology"
    written = results(tmp_path)
    assert written.keys() == models.keys() | {"few-tissue-1-0", "few-tissue-5-0"}
    assert len(json.loads(scores_of(tmp_path, "all").read_text())["known"]) == 3
    text = (tmp_path / "kinds.md").read_text(encoding="utf-8")
    assert "| tissue | own | 4 | 1 |" in text  # all that there are, where five were asked for
    assert "Not done" not in text
    assert not list(tmp_path.glob("runs/*/checkpoint.pt"))
    assert kinds.main() == 0
    assert results(tmp_path) == written


def put(given: Given, name: str, result: dict) -> None:
    """The result of a job."""
    path = scores_of(given.out, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result))


def test_tables_compare_image_by_image(given):
    of = {"phase/a": [0.8, 0.5], "phase/b": [0.6, 0.3], "bacteria_ecoli/c": [0.0, 0.0]}
    less = {"phase/b": [0.6, 0.25], "phase/a": [0.8, 0.5]}
    put(given, "all", {"known": of, "own": of})
    put(given, "alone-phase", {"known": less, "own": less})
    lines = page(given.out, given.kinds, "cpu", {"alone-bacteria": "no time"}).splitlines()
    mean, other = shown(np.array([0.5, 0.3])), shown(np.array([0.5, 0.25]))
    both = shown(np.array([0.8, 0.6]))
    assert both == "0.700 ± 0.100"
    row = f"| phase | known | 2 | {both} | {mean} | {both} | {other} | +0.025 ± 0.025 |"
    assert row in lines
    assert "| bacteria | known | 1 | 0.000 | 0.000 | – | – | – |" in lines
    assert "| alone-bacteria | no time |" in lines


def test_trials_below_the_start_are_counted(given):
    def scores(ap: float) -> dict:
        pairs = {"bacteria_ecoli/a": [ap, ap]}
        return {"known": pairs, "own": pairs}

    elsewhere = {"bacteria_colony/b": [1.0, 1.0]}  # few images are not of that set
    start = scores(0.5)
    put(given, "without-bacteria", {how: pairs | elsewhere for how, pairs in start.items()})
    for trial, ap in enumerate((0.4, 0.5, 0.9)):
        result = {"tuned": scores(ap), "nothing": scores(0.1), "images": 1}
        put(given, f"few-bacteria-1-{trial}", result)
    lines = page(given.out, given.kinds, "cpu", {}).splitlines()
    assert "| bacteria | own | 0 |  | 0.500 | 0.500 |  |  |  |  |" in lines
    [row] = [line for line in lines if line.startswith("| bacteria | own | 1 | 3 |")]
    assert "| +0.100 ± 0.153 | 1 of 3 | 0.100 ± 0.000 | +0.500 ± 0.153 |" in row


def test_time_is_shared_by_weight_and_the_model_to_keep_comes_first(given):
    options = Namespace(only=None, steps=None, minutes=8.0, parallel=2, trials=1)
    jobs = kinds.trainings(given, options)
    assert [job.name for job in jobs] == [
        "all", "without-phase", "without-bacteria", "alone-phase", "alone-bacteria",
    ]  # fmt: skip
    minutes = [float(job.length.partition("=")[2]) for job in jobs]
    assert minutes[0] == pytest.approx(2 * minutes[1]) == pytest.approx(4 * minutes[3], abs=0.01)
    assert sum(minutes) == pytest.approx(2 * kinds.TRAINING * 8, abs=0.01)
    put(given, "without-phase", {})
    options = Namespace(only=["without", "alone-phase"], steps=400, minutes=None, parallel=1)
    jobs = kinds.trainings(given, options)
    assert jobs == [Job("without-bacteria", "--steps=200"), Job("alone-phase", "--steps=100")]


def test_a_model_is_trained_without_a_kind_and_scored_on_it(given):
    assert given.trained_on("all") == ["phase", "bacteria_colony", "bacteria_ecoli"]
    assert given.trained_on("without-phase") == ["bacteria_colony", "bacteria_ecoli"]
    assert given.trained_on("alone-phase") == given.scored_on("without-phase") == ["phase"]


def test_what_fails_is_told_and_leaves_no_result(given):
    late = replace(given, stop=time.monotonic())
    name, error = attempt(late, Job("all"))
    assert name == "all"
    assert "no time" in error
    name, error = attempt(given, Job("all", "--steps=1"))  # there are no images
    assert error.startswith("UserError")
    assert "UserError" in (given.out / "logs" / "all.txt").read_text(encoding="utf-8")
    assert not scores_of(given.out, "all").exists()


def test_generated_images_are_a_kind_that_others_are_compared_by(tmp_path, given):
    generated.write(tmp_path / "data" / "generated", 2)
    drawn = kinds_data.kinds_in(tmp_path / "data")
    assert drawn.keys() == {"generated"}
    kinds_data.split(tmp_path / "data", ["generated_worms"], tmp_path / "out")
    assert [len(part) for part in parts(tmp_path / "out", "generated_worms")] == [1, 1]
    both = replace(given, kinds=given.kinds | drawn)
    assert both.scored_on("without-generated") == given.trained_on("all")
    options = Namespace(only=None, steps=8, minutes=None, parallel=1, trials=1)
    names = [job.name for job in kinds.trainings(both, options)]
    assert "without-generated" in names
    assert "alone-generated" not in names
    models = tmp_path / "models"
    models.mkdir()
    (models / "without-generated.safetensors").touch()
    assert not list(kinds.trials(both, options))
    put(both, "all", {"known": {"phase/a": [0.8, 0.5], "phase/b": [0.6, 0.3]}})
    put(both, "without-generated", {"known": {"phase/b": [0.6, 0.25], "phase/a": [0.7, 0.5]}})
    lines = page(both.out, both.kinds, "cpu", {}).splitlines()
    assert "| phase | 2 | +0.050 ± 0.050 | +0.025 ± 0.025 |" in lines

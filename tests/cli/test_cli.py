import json
import os
import signal
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import spatialembed
from spatialembed.cli.commands import COMMANDS
from spatialembed.cli.main import _say_warnings, main
from spatialembed.cli.options import read_recipe
from spatialembed.cli.recipe import find_recipe, recipes
from spatialembed.console import progress
from spatialembed.console.output import console
from spatialembed.errors import ImageWarning, UserError
from spatialembed.large import ModelSource
from spatialembed.models import build
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig

COMPILING = "compiling for this processor, which only the first run waits for\n"
WIDTHS = {"widths": [4, 4, 4, 4, 4]}


@pytest.fixture
def run(tmp_path):
    """A run folder with an untrained model for one channel."""
    torch.manual_seed(0)
    save_model(
        tmp_path / "run" / "model.safetensors",
        build("residual_unet", 1, 1, 1, **WIDTHS),
        ModelSpec("residual_unet", WIDTHS, in_channels=1),
    )
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path):
    for split in ("train", "test"):
        for i in range(3):
            for kind in ("images", "masks"):
                path = tmp_path / "data" / split / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                array = np.zeros((24, 32), np.uint8)
                image = 200 + 10 * i + (split == "test")  # no two are equal
                array[4:12, 5:15] = image if kind == "images" else 1
                Image.fromarray(array).save(path)
    return tmp_path / "data"


def errors_of(capsys, *arguments: object) -> str:
    """What a failing command says: one line, and nothing like a traceback."""
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr().err.replace(COMPILING, "")
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"{command}" in capsys.readouterr().out


def test_version(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert spatialembed.__version__ in capsys.readouterr().out


def test_check(data, capsys) -> None:
    assert main(["check", str(data)]) == 0
    assert "no problem found" in capsys.readouterr().out
    (data / "train" / "masks" / "1.png").unlink()
    assert main(["check", str(data)]) == 1
    assert "1.png" in capsys.readouterr().out


def test_crops_are_a_data_set(data, tmp_path, capsys) -> None:
    assert main(["crops", str(data), str(tmp_path / "crops"), "--size", "16"]) == 0
    assert main(["check", str(tmp_path / "crops")]) == 0
    assert "2 crops" in capsys.readouterr().out  # of three, one is held out for val


def test_predict(run, data, tmp_path, capsys) -> None:
    images, out = data / "test" / "images", tmp_path / "found"
    assert main(["predict", str(run), str(images), "--out", str(out), "--format", "coco"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"0.tif", "0_overlay.png", "coco_results.json"} <= names
    assert main(["predict", str(run), str(images), "--out", str(out), "--no_overlay"]) == 0
    assert "3 kept" in capsys.readouterr().out
    again = ["--out", str(out), "--no_overlay", "--overwrite"]
    assert main(["predict", str(run), str(images), *again]) == 0
    assert "kept" not in capsys.readouterr().out


def test_inverted_results_are_not_mixed_with_others(run, data, tmp_path, capsys) -> None:
    given = ["predict", str(run), str(data / "test" / "images"), "--out", str(tmp_path / "found")]
    assert main([*given, "--invert"]) == 0
    assert json.loads((tmp_path / "found" / "settings.json").read_text())["invert"] is True
    capsys.readouterr()
    assert "were made with invert True (now None)" in errors_of(capsys, *given)
    assert ModelSource(str(run), invert=True).load().invert


def test_predict_names_failures_at_the_end(run, data, tmp_path, capsys) -> None:
    (data / "test" / "images" / "1.png").write_bytes(b"broken")
    files = [str(data / "test" / "images" / f"{i}.png") for i in range(3)]
    out = tmp_path / "found"
    assert main(["predict", str(run), *files, "--out", str(out)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "1.png cannot be read" in said[-1]
    assert "nothing was found in any image" in said[-2]
    assert sorted(path.name for path in out.glob("*.tif")) == ["0.tif", "2.tif"]


def test_evaluate(run, data, capsys) -> None:
    assert main(["evaluate", str(run), str(data), "--pictures", "2"]) == 0
    said = capsys.readouterr().out
    assert "mean over images" in said
    written = json.loads((run / "evaluation_test" / "evaluation.json").read_text())
    assert written["split"] == "test"
    assert len(written["images"]) == 3
    assert (run / "evaluation_test" / "page.html").is_file()
    assert len(list((run / "evaluation_test" / "worst").iterdir())) == 2


def test_evaluate_with_other_settings(run, data, tmp_path, capsys) -> None:
    asked = ["evaluate", run, data, "--out", tmp_path / "out", "--pictures", "1"]
    settings = {"seed_threshold": 0.2, "foreground_threshold": 0.3, "min_size": 1000}
    given = [str(one) for name, value in settings.items() for one in (f"--{name}", value)]
    assert main([*map(str, asked), *given]) == 0
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {name: written["settings"][name] for name in settings} == settings
    assert sum(image["n_found"] for image in written["images"]) == 0  # all are smaller
    assert "no object was found in any image" in capsys.readouterr().err
    said = errors_of(capsys, *asked, "--seed_threshold", "1.5")
    assert "the seed threshold lies between 0 and 1" in said


def test_errors_are_one_line(run, data, tmp_path, capsys) -> None:
    images = data / "test" / "images"
    said = errors_of(capsys, "predict", tmp_path / "none", images, "--out", tmp_path / "f")
    assert "none" in said
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"123")
    assert "broken.safetensors" in errors_of(capsys, "evaluate", broken, data)
    assert "give that" in errors_of(capsys, "evaluate", run, tmp_path)
    assert "nowhere" in errors_of(capsys, "train", tmp_path / "nowhere", "--steps", 1)
    assert "truck" in errors_of(capsys, "crops", data, tmp_path / "c", "--classes", "car", "truck")
    assert "--botch" in errors_of(capsys, "train", data, "--botch", 3)
    assert "batch" in errors_of(capsys, "train", data, "--batch", "many")
    assert "prodict" in errors_of(capsys, "prodict")


def test_predict_of_one_image_of_several(run, data, tmp_path, capsys) -> None:
    with Image.open(next((data / "test" / "images").iterdir())) as image:
        pixels = np.asarray(image)
    path, out = tmp_path / "well.tif", tmp_path / "found"
    with tifffile.TiffWriter(path) as file:
        for plane in (pixels, pixels[::-1]):
            file.write(plane)
    said = errors_of(capsys, "predict", run, path, "--out", out)
    assert "well.tif is a stack of 2 planes" in said
    assert main(["predict", str(run), str(path), "--out", str(out), "--series", "1"]) == 0
    assert "which are left out: series 0" in capsys.readouterr().err
    assert (out / "well.tif").is_file()


def test_predict_of_a_level_and_a_channel(run, data, tmp_path, capsys) -> None:
    with Image.open(next((data / "test" / "images").iterdir())) as image:
        pixels = np.asarray(image)
    path, out = tmp_path / "slide.svs", tmp_path / "found"
    planes = np.stack([0 * pixels, pixels])
    given = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}
    with tifffile.TiffWriter(path) as file:
        file.write(planes.repeat(2, 1).repeat(2, 2), subifds=1, **given)
        file.write(planes, subfiletype=1, **given)
    said = errors_of(capsys, "predict", run, path, "--out", out)
    assert "slide.svs has 2: name those that it learned from with `predict --channel`" in said
    asked = ["predict", str(run), str(path), "--level", "1", "--channel", "1"]
    assert main([*asked, "--out", str(out)]) == 0
    assert tifffile.imread(out / "slide.tif").shape == pixels.shape
    capsys.readouterr()
    assert main([*asked, "--out", str(out)]) == 0
    assert "1 kept" in capsys.readouterr().out
    said = errors_of(capsys, *asked[:-1], "0", "--out", out)
    assert "were made with channel [1] (now [0])" in said
    said = errors_of(capsys, *asked[:4], "2", "--channel", "1", "--out", tmp_path / "other")
    assert "no level 2" in said


def test_predict_of_wrong_channels(run, data, tmp_path, capsys) -> None:
    path = tmp_path / "color.png"
    Image.new("RGB", (32, 24), (1, 2, 3)).save(path)
    said = errors_of(capsys, "predict", run, path, "--out", tmp_path / "found")
    assert "color.png is in color" in said
    assert "cells" in said


def test_large_images_go_by_themselves(run, data, tmp_path, capsys) -> None:
    out, image = tmp_path / "labels.zarr", data / "test" / "images" / "0.png"
    said = errors_of(capsys, "predict", run, image, image, "--out", out)
    assert "one image" in said
    said = errors_of(capsys, "predict", run, image, "--out", out, "--format", "coco")
    assert "leave --format" in said
    assert "give --out a folder" in errors_of(capsys, "predict", run, image.parent, "--out", out)
    said = errors_of(capsys, "predict", run, image, "--out", out)
    assert "0.png cannot be read in parts; predict it into a folder" in said
    large = tmp_path / "large.zarr"
    large.mkdir()
    assert "ending in .zarr" in errors_of(capsys, "predict", run, large, "--out", tmp_path / "out")
    assert "does not exist" in errors_of(capsys, "predict", run, tmp_path / "b.zarr", "--out", out)
    assert not out.exists()
    assert not (tmp_path / "labels.zarr.part").exists()


@pytest.mark.parametrize("recipe", recipes(), ids=lambda path: path.stem)
def test_every_recipe_parses(recipe) -> None:
    config = read_recipe(recipe.stem, "some/data", "--batch=3")
    assert isinstance(config, TrainConfig)
    assert config.batch == 3
    assert str(config.data) == "some/data"
    assert all(stage.batch_size == 3 for stage in config.scheduled())


def test_options_go_over_the_recipe(tmp_path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("n_sigma: 2\nseed: 4\nclasses: [car, bus]\nresume: false\n")
    config = read_recipe(recipe, "data", "--seed=7", "--resume")
    assert (config.n_sigma, config.seed, config.resume) == (2, 7, True)
    assert config.classes == ["car", "bus"]
    assert read_recipe(recipe, "data", "--classes", "person").classes == ["person"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("bacth: 3", ["unknown key 'bacth'", "did you mean 'batch'"]),
        ("stages: [{steps: 3, crop: 64}]", ["unknown key 'crop'", "crop_size"]),
        (
            "stages: [{steps: 3, augmentation: {flop: true}}]",
            ["unknown key 'flop'", "did you mean 'flip'"],
        ),
        ("xyzzy: 1", ["unknown key 'xyzzy'", "--help"]),
        ("batch: many", ["batch"]),
        ("seed:", ["mine.yaml: seed must be a whole number, and it is empty"]),
        (
            "stages: [{steps: 3, crop_size: }]",
            ["crop_size must be a whole number, and it is empty"],
        ),
        (
            "stages: [{steps: 3, augmentation: {flip: }}]",
            ["flip must be true or false, and it is empty"],
        ),
        ("stages: [{steps: 3, crop_size: 65}]", ["crop_size", "65"]),
        ("average: 7", ["average"]),
        ("a: [", ["mine.yaml"]),
    ],
)
def test_recipes_that_are_refused(tmp_path, capsys, content, words) -> None:
    recipe = tmp_path / "with space" / "mine.yaml"
    recipe.parent.mkdir()
    recipe.write_text(content)
    for given in (["--config", recipe], [f"--config={recipe}"]):
        said = errors_of(capsys, "train", tmp_path, *given)
        assert all(word in said for word in words), said


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"no recipe nucleus; give a file or one of .*nuclei"):
        find_recipe("nucleus")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--seed_threshold", "2", "seed threshold lies between 0 and 1"),
        ("--foreground_threshold", "-0.5", "foreground threshold lies between 0 and 1"),
        ("--min_size", "-1", "number of pixels"),
    ],
)
def test_settings_out_of_range_are_refused(run, data, tmp_path, capsys, option, value, message):
    image = data / "test" / "images" / "0.png"
    arguments = ["predict", str(run), str(image), "--out", str(tmp_path / "found"), option, value]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_run_folder_that_is_a_file_is_one_line(data, tmp_path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    said = errors_of(capsys, "train", data, "--config", "smoke", "--out", tmp_path / "taken")
    assert "taken" in said


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--minutes=abc", "minutes must be a number, not abc"),
        ("--n_sigma=1.5", "n_sigma must be a whole number, not 1.5"),
        ("--optimizer=sgd", "optimizer must be one of 'adam', 'adamw', not sgd"),
        ("--foreground_weight=x", "foreground_weight must be a number or a list of numbers, not x"),
    ],
)
def test_values_of_a_wrong_type_are_said_plainly(data, option, message) -> None:
    with pytest.raises(UserError, match=message):
        read_recipe("smoke", data, option)


@pytest.mark.parametrize(
    ("command", "option", "message"),
    [
        ("predict", ["--seed_treshold", ".5"], "no option --seed_treshold; did you mean --seed_th"),
        ("predict", ["--min-sice=5"], "no option --min_sice; did you mean --min_size?"),
        ("train", ["--minuts", "5"], "no option --minuts; did you mean --minutes?"),
        ("train", ["--xyzzy"], "no option --xyzzy; --help names those there are"),
        ("predict", ["--no-overlai"], "no option --no_overlai; did you mean --no_overlay?"),
        ("predict", ["--images", "x.tif"], "no option --images; --help names those there are"),
    ],
)
def test_a_misspelt_option(run, data, capsys, command, option, message) -> None:
    model = [str(run)] if command == "predict" else []
    assert message in errors_of(capsys, command, *model, data, *option)


def test_options_are_written_with_hyphens_too(run, data, tmp_path) -> None:
    out = tmp_path / "found"
    options = ["--seed-threshold", "0.99", "--min-size=7", "--no-overlay"]
    assert main(["predict", str(run), str(data / "test"), "--out", str(out), *options]) == 0
    (settings,) = {
        path.read_text() for path in out.rglob("*.json") if "min_size" in path.read_text()
    }
    assert '"min_size": 7' in settings
    assert not list(out.rglob("*.png"))


def test_a_recipe_that_is_no_text_is_one_line(data, tmp_path, capsys) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"network: \xff\xfe")
    said = errors_of(capsys, "train", data, "--config", tmp_path / "mine.yaml")
    assert "mine.yaml is no text in UTF-8" in said


def test_tensorboard_is_a_flag(data, tmp_path) -> None:
    assert read_recipe("smoke", data, "--tensorboard").tensorboard


def test_warnings_about_images_are_lines_and_not_without_end(capsys) -> None:
    with warnings.catch_warnings():
        _say_warnings()
        for number in range(15):
            warnings.showwarning(ImageWarning(f"{number} pixels", "a.tif"), ImageWarning, "x", 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "warning: a.tif: 0 pixels"
    assert lines[9:] == ["warning: a.tif: 9 pixels", "warning: and more images as this one"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_one_line(monkeypatch, capsys, number, code) -> None:
    def interrupted(**_: object) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except KeyboardInterrupt as error:
            raise SystemError("as compiled code has it") from error
        return 0

    # What a shell starts in the background ignores Ctrl+C.
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(COMMANDS, "check", interrupted)
    monkeypatch.setattr("spatialembed.cli.main.build_parser", lambda *_: Parsed())
    assert main(["check", "data"]) == code
    signal.signal(signal.SIGINT, ctrl_c)
    assert capsys.readouterr().err == "spatialembed: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


class Parsed:
    """Stands where the parser would, of a command without options."""

    def parse_args(self, _: object) -> None: ...

    def instantiate(self, _: object) -> "Parsed":
        return self

    command = "check"

    def __getitem__(self, _: str) -> SimpleNamespace:
        return SimpleNamespace()


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], [""]])
def test_what_is_empty_is_refused(capsys, words) -> None:
    """An unset variable of a shell would else be the current folder."""
    before = words[0].removesuffix("=") or "a.tif"
    told = errors_of(capsys, "predict", "nuclei", "a.tif", *words)
    assert f"nothing is given after {before};" in told


def test_a_demo_that_cannot_be_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    for minutes in ("-1", "nan", "inf"):
        assert "minutes" in errors_of(capsys, "demo", "--out", tmp_path / "d", "--minutes", minutes)
    assert not (tmp_path / "d").exists()


def test_progress_is_told_where_there_is_no_terminal(monkeypatch, capsys) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(progress.track(range(4), 4, "Scoring val")) == [0, 1, 2, 3]
    assert capsys.readouterr().err.splitlines() == [
        "Scoring val: 2 of 4 images, 0.1 images/s, 0:00:20 left",
        "Scoring val: 4 of 4 images, 0.1 images/s, 0:00:00 left",
    ]


def test_brackets_in_names_are_printed_as_they_are(capsys) -> None:
    console.print("Trained: runs/[bold]/x")
    assert capsys.readouterr().out == "Trained: runs/[bold]/x\n"

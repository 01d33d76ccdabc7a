"""What is wrong with a command is one line: in a person's words, with the file, before any work."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from spatialembed.cli.commands import COMMANDS
from spatialembed.cli.main import main
from spatialembed.cli.options import build_parser, prepared
from spatialembed.cli.recipe import require_recipe
from spatialembed.console.output import console, errors, others_silent
from spatialembed.errors import UserError
from spatialembed.files.described import did_you_mean, read_json
from spatialembed.files.writing import require_writable
from spatialembed.formats.results_folder import Results
from spatialembed.inference.loading import load
from spatialembed.large import Workers
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

SPEC = ModelSpec("residual_unet", {"widths": [4, 4], "blocks": [1, 1]}, in_channels=1)

UNET = ["--network", "residual_unet", "--network_options"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "run" / "model.safetensors", SPEC.build(), SPEC)
    return tmp_path / "run"


def sentence(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 1
    written = capsys.readouterr()
    assert written.err.startswith("spatialembed: ")
    assert written.err.count("\n") == 1
    assert not written.out
    return written.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("stages: 3", "stages must be a list of mappings, not 3"),
        ("stages: abc", "stages must be a list of mappings, not 'abc'"),
        ("stages: {steps: 3}", "stages must be a list of mappings"),
        ("stages: [3]", "stages[0] must be a mapping of names to values, not 3"),
        ("stages: [null]", "stages[0] must be a mapping of names to values"),
        ("stages: []", "at least one stage"),
        ("stages: [{steps: many}]", "stages[0]: steps must be a whole number, not 'many'"),
        ("stages: [{steps: 1}, {steps: 1.5}]", "stages[1]: steps must be a whole number, not 1.5"),
        ("stages: [{steps: 3, augmentation: 3}]", "augmentation must be a mapping"),
        ("stages: [{steps: 3, augmentation: {flip: 7}}]", "flip must be true or false, not 7"),
        ("stages: [{steps: 3, augmentation: {scale: [1]}}]", "scale must be a list of 2 numbers"),
        ("stages: [{steps: 3, crop_size: 1000000}]", "fits in no memory"),
        ("stages: [{steps: 3, batch_size: 1000000000}]", "fits in no memory"),
        ("stages: [{steps: 3, steps: 4}]", "the key 'steps' twice"),
        ("seed:", "seed must be a whole number, and it is empty"),
        ("seed: 1e30", "seed must be a whole number"),
        (f"seed: {10**30}", "seed must be a whole number"),
        ("workers: 1000000", "workers must be at most 1,024"),
        ("classes: car", "classes must be a list of names, not 'car'"),
        ("classes: [1, 2]", "classes must be a list of names"),
        ("out: [1]", "out must be a path"),
        ("network_options: [1]", "network_options must be a mapping"),
        ("resume: perhaps", "resume must be true or false, not 'perhaps'"),
        ("crop_size: 64", "unknown key 'crop_size'; it belongs in a stage"),
        ("flip: true", "unknown key 'flip'; it belongs in a stage's augmentation"),
        ("stages: [{steps: 3, average: .5}]", "'average'; it belongs at the recipe's top"),
        ("config: other.yaml", "unknown key 'config'"),
        ("1: 2", "unknown key '1'"),
        ("[]", "is no recipe"),
        ("", "is no recipe"),
        ("a: b: c", "is no YAML: mapping values are not allowed here in line 1"),
        ("seed: !!python/object/apply:os.system ['echo ran']", "is no YAML"),
        ("seed: &a [*a]", "repeats itself endlessly"),
        ("seed: " + "[" * 5000, "is no YAML"),
        ("seed: " + "[" * 60 + "]" * 60, "nested too deep"),
        ("# " + "x" * 300_000, "larger than 200 kB"),
    ],
)
def test_recipes(recipe: Path, capsys: pytest.CaptureFixture[str], content: str, told: str) -> None:
    recipe.write_text(content)
    said = sentence(capsys, "train", recipe.parent, "--config", recipe)
    assert told in said
    assert "mine.yaml" in said


@pytest.mark.parametrize("merged", [False, True])
def test_aliases_that_repeat_themselves_take_no_time(recipe: Path, merged: bool) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}" if merged else "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    for level in range(1, 40):
        many = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{many}]}}" if merged else f"[{many}]"))
    recipe.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"mine\.yaml .*repeats itself endlessly"):
        require_recipe(recipe)


def test_a_recipe_may_repeat_a_little_and_write_numbers_as_people_do(recipe: Path) -> None:
    stages = "stages:\n- &one {steps: 3, learning_rate: 1e-3}\n- *one\n"
    recipe.write_text(stages + "weight_decay: 5E-2\nfoo: &x 3\n")
    with pytest.raises(UserError, match="unknown key 'foo'"):
        require_recipe(recipe)
    recipe.write_text(stages + "weight_decay: 5E-2\n")
    require_recipe(recipe)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--stages", "[{steps: many}]"], "steps must be a whole number"),
        (["--stages", "3"], "stages must be a list of mappings"),
        (["--stages=&a [*a]"], "repeats itself endlessly"),
        (["--network_options", "{a: &a [*a]}"], "repeats itself endlessly"),
        (["--network_options", "{widths: [8]}"], "it has none"),
        ([*UNET, "{widths: [9000000, 1], blocks: [1, 1]}"], "up to 4096"),
        ([*UNET, "{widths: 3}"], "widths must be a list of whole numbers"),
        (["--n_sigma", "3"], "n_sigma must be 1 or 2"),
        (["--margin", "-1"], "margin must be a positive number"),
        (["--batch", "1000000000"], "fits in no memory"),
        (["--seed", "99999999999999999999"], "seed"),
        (["--out", "/proc/none/run"], "/proc/none/run cannot be written to"),
        (["surplus"], "there is no place for surplus"),
    ],
)  # fmt: skip
def test_what_training_is_asked_is_refused_before_data_is_read(
    capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert told in sentence(capsys, "train", "/no/such/data", *options)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["export", "{run}", "x.bin"], "does not end in .onnx"),
        (["export", "{run}", "{taken}/x.onnx"], "cannot be written to"),
        (["export", "{run}", "{run}.onnx"], "is a folder"),
        (["predict", "{run}", "none.tif", "--out", "{taken}"], "cannot be written to"),
        (["predict", "{run}", "none.tif", "--out", "{taken}/in"], "cannot be written to"),
        (["predict", "{run}", "none.tif", "--out", "{taken}/in.zarr"], "cannot be written to"),
        (["evaluate", "none", "none", "--out", "{taken}"], "cannot be written to"),
        (["evaluate", "none", "none", "--pictures", "-1"], "--pictures is a number from 0 up"),
        (["train", "none", "--config", "smoke", "--out", "{taken}/in"], "cannot be written to"),
        (["crops", "none", "{taken}"], "cannot be written to"),
        (["demo", "--out", "{taken}"], "cannot be written to"),
        (["predict", "{run}", "none.tif", "--format", "tiff"], "format is one of"),
        (["evaluate", "{run}", "none", "--device", "tpu"], "device 'tpu' is not available"),
        (["evaluate", "{run}", "none", "--device", "meta"], "device 'meta' is not available"),
        (["evaluate", "{run}", "none", "--device", "cpu:7"], "device 'cpu:7' is not available"),
        (["evaluate", "{run}", "none", "--device", "cuda:99"], "device 'cuda:99'"),
        (["evaluate", "{run}", "none", "--device", ""], "nothing is given after --device"),
    ],
)
def test_what_can_be_refused_before_the_work_is(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], command: list[str], told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    (tmp_path / "run.onnx").mkdir()
    before = sorted(tmp_path.rglob("*"))
    given = [part.format(run=run, taken=tmp_path / "taken") for part in command]
    assert told in sentence(capsys, *given)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    require_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not a JSON file"),
        (b"\xff\xfe\x00", "is not a JSON file"),
        (b"[" * 100_000, "is not a JSON file"),
        (b"[" * 70 + b"]" * 70, "nested too deep"),
        (b"[1]", "does not say what the results there were made with"),
        (b'"' + b"x" * 5_000_000 + b'"', "larger than 4 MB"),
    ],
)
def test_settings_of_results_that_were_damaged(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    (tmp_path / "x.tif").touch()  # without results they bind none
    with pytest.raises(UserError, match=told) as error:
        Results(tmp_path).agree({"model": "a"}, False, ["x"])
    assert "settings.json" in str(error.value)
    assert "choose another --out" in str(error.value)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"height": "1", "width": 1, "categories": {}, "rows": []}',
     '{"height": 1, "width": 1, "categories": {"a": 1}, "rows": [3]}',
     '{"height": 1, "width": 1, "categories": {"a": [1]}, "rows": []}',
     '{"height": 1, "width": 1, "categories": {"a": 1}, "rows": [{"category_id": 2}]}',
     '{"height": 1, "width": 1, "categories": {"a": 1}, "rows": [{"category_id": 1}]}'],
)  # fmt: skip
def test_an_images_rows_that_were_damaged(tmp_path: Path, content: str) -> None:
    results = Results(tmp_path, ["coco"])
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"a\.json"):
        results.gather(["a"])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["evaluatx"], "there is no command evaluatx; did you mean evaluate?"),
        ([" "], "there is no command  ; there are"),
        (["train", "d", "--seed.x=3"], "there is no option --seed.x; did you mean --seed?"),
        (["xyz"], "there is no command xyz; there are 'demo'"),
        (
            ["--device", "cpu", "predict", "nuclei"],
            "--device stands before it: spatialembed predic",
        ),
        (["--min-size=5", "predict", "x"], "after the command, and --min_size stands before it"),
        (
            ["-d", "cpu"],
            "options come after the command, and -d stands before it: spatialembed COM",
        ),
        (["--verison"], "there is no option --verison; did you mean --version?"),
        (["predict", "m", "i", "--out"], "--out needs a value after it"),
        (["check", "d", "--classes"], "--classes needs a value after it"),
        (["predict", "m", "i", "--overlay=perhaps"], "true or false, not 'perhaps'"),
        (["predict", "m"], "images is missing"),
        (["predict"], "model and images are missing"),
        (["predict", "m", "--format", "coco", "i"], "images is missing; --format takes all words"),
        (["train", "--classes", "car", "d", "--out=x"], "data is missing; --classes takes all wor"),
        (
            ["train", "--also", "a", "d"],
            "--also takes all words up to the next option, so give the ",
        ),
        (["crops", "--classes", "a", "d", "o"], "data and out are missing; --classes takes all wo"),
        (
            ["predict", "m", "--spacing", "1", "1", "1", "i"],
            "not 1 1 1 i; --spacing takes all word",
        ),
        (["predict", "--channel", "0", "m", "i"], "not 0 m i; --channel takes all words up to the"),
        (["export", "m"], "out"),
        (["evaluate", "m", "d", "--outt=x"], "no option --outt; did you mean --out?"),
        (["predict", "m", "i", "--no_out"], "there is no option --no_out; did you mean --out?"),
    ],
)
def test_the_form_of_a_command(
    capsys: pytest.CaptureFixture[str], command: list[str], told: str
) -> None:
    said = sentence(capsys, *command)
    assert told in said
    assert "_boolean_type" not in said


def test_flags_leave_the_words_after_them() -> None:
    for words, left in (
        (["predict", "--overwrite", "m", "--no-overlay", "i"], (True, False, ["i"])),
        (["predict", "m", "i", "--overwrite", "No", "--overlay"], (False, True, ["i"])),
    ):
        arguments = prepared(words)
        found = build_parser(COMMANDS, "1", arguments).parse_args(arguments).predict
        assert (found.overwrite, found.overlay, found.images) == left


def test_no_suggestion_is_what_was_typed() -> None:
    assert did_you_mean("batch", ["batch"]) == ""
    assert did_you_mean("batch", ["batch", "batches"]) == "did you mean 'batches'?"
    assert did_you_mean(3, ["batch"]) == ""


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="cannot be read"):
            read_json(path, "name a file")


def test_others_say_nothing_and_we_do(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with others_silent():
            logging.getLogger("someone").error("a log")
            warnings.warn_explicit("theirs", UserWarning, "x.py", 1, module="torch.nn")
            warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="spatialembed.data")
    assert [str(warning.message) for warning in caught] == ["ours"]
    assert logging.getLogger("someone").isEnabledFor(logging.ERROR)
    assert not capsys.readouterr().err


def test_nothing_comes_before_the_sentence(tmp_path: Path) -> None:
    """In a process of its own: some libraries write to the file descriptor."""
    command = [sys.executable, "-m", "spatialembed", "train", tmp_path, "--config", "smoke"]
    done = subprocess.run([*command, "--out", tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("spatialembed: ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_diameter_that_would_fill_the_memory(run: Path) -> None:
    spec = ModelSpec("residual_unet", SPEC.network_options, in_channels=1, object_diameter=20)
    save_model(run / "model.safetensors", spec.build(), spec)
    for diameter, told in (1e-6, "less than 2 pixels"), (1e9, r"diameter.*between 0\.001 and 100"):
        with pytest.raises(UserError, match=told):
            load(run, diameter=diameter)


def test_a_million_workers() -> None:
    with pytest.raises(UserError, match="from 1 to 1024, not 1000000"):
        Workers(10**6)


def test_names_of_files_are_printed_as_they_are():
    for where in (console, errors):
        with where.capture() as said:
            where.print("[a]/cells:bug:.png")
        assert said.get() == "[a]/cells:bug:.png\n"

"""Recipes: files of options, the packaged ones among them."""

import pytest
from test_cli import errors_of

from spatialembed.cli.options import read_recipe
from spatialembed.cli.recipe import find_recipe, recipes
from spatialembed.errors import UserError
from spatialembed.training.config import TrainConfig


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


def test_a_recipe_that_is_no_text_is_one_line(data, tmp_path, capsys) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"network: \xff\xfe")
    said = errors_of(capsys, "train", data, "--config", tmp_path / "mine.yaml")
    assert "mine.yaml is no text in UTF-8" in said


def test_tensorboard_is_a_flag(data) -> None:
    assert read_recipe("smoke", data, "--tensorboard").tensorboard

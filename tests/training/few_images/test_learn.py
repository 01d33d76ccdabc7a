"""Careful runs from the command line: what they leave, what they say, when they are not taken."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.training import StageConfig, TrainConfig, train
from spatialembed.training.few_images import learn, ways
from spatialembed.training.few_images.budget import CANDIDATES, Budget
from spatialembed.training.few_images.careful import is_careful
from spatialembed.training.few_images.choice import Choice
from spatialembed.training.few_images.evidence import Tally
from spatialembed.training.few_images.folds import folds_of
from spatialembed.training.few_images.tuning import Tuning
from spatialembed.training.validation import Setting


def write_discs(folder: Path, count: int, seed: int = 0) -> Path:
    """Images (72, 96) of eight bright discs each, with their masks, as a split of a data set."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((72, 96))
    for name in range(count):
        label_mask = np.zeros((72, 96), np.uint8)
        for k in range(8):
            cy, cx = 12 + 24 * (k % 2) + rng.integers(0, 20), 10 + 22 * (k // 2) + rng.integers(6)
            radius = rng.integers(4, 8)
            label_mask[((y - cy) ** 2 + (x - cx) ** 2 < radius**2) & (label_mask == 0)] = k + 1
        image = 40 + 120 * (label_mask > 0) + rng.integers(0, 30, label_mask.shape)
        for kind, array in (("images", image), ("masks", label_mask)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(path)
    return folder


def config(data: Path, out: Path, start: Path, **options: object) -> TrainConfig:
    stage = StageConfig(crop_size=64, batch_size=2, steps=30)
    here = {"device": "cpu", "precision": "float32", "workers": 0, "stages": [stage]}
    return TrainConfig(**{"data": data, "out": out, "init": start, **here, **options})


@pytest.mark.parametrize(
    ("lost", "told"),
    [(0.0, "your images do not show that training"), (0.1, "training taught it nothing")],
)
def test_the_start_is_left_bit_for_bit_where_training_does_not_help(
    start, tmp_path, monkeypatch, capsys, lost, told
):
    monkeypatch.setattr(learn, "LOST", lost)
    data, out = write_discs(tmp_path / "data" / "train", 1).parent, tmp_path / "run"
    recipe = "--stages=[{crop_size: 64, steps: 9}]"
    arguments = [f"--init={start}", f"--out={out}", recipe, "--batch=2", "--workers=0"]
    assert main(["train", str(data), "--device=cpu", *arguments]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "few images: learning carefully" in said
    assert f"Kept the model as it was: {told}" in said
    before, after = load_file(start), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(before[name].numpy().tobytes() == after[name].numpy().tobytes() for name in before)
    (_, then), (_, now) = load_model(start), load_model(out / "model.safetensors")
    assert now.training["few_images"]["share"] == 0
    assert now.training["few_images"]["objects"] == (4 if lost else 8)  # one half, or both
    assert (now.zoom, now.min_size, now.seed_threshold) == (then.zoom, 9, 0.7)
    assert sorted(path.name for path in out.iterdir()) == ["losses.csv", "model.safetensors"]


@pytest.mark.parametrize(
    ("start_size", "size", "zoom", "kept"),
    [(None, 0.25, 1.0, 0.25), (0.25, 0.3, 1.2, 0.3), (0.5, None, 1.0, 0.5), (0.5, 0.5, 1.0, 0.5)],
)
def test_a_start_that_is_kept_sees_images_as_it_did_by_their_pixel_size(
    start, tmp_path, monkeypatch, capsys, start_size, size, zoom, kept
):
    monkeypatch.setattr(learn, "LOST", 0.0)
    data = write_discs(tmp_path / "data" / "train", 1).parent
    network, spec = load_model(start)
    mine = tmp_path / "start.safetensors"
    save_model(mine, network, replace(spec, pixel_size=start_size))
    options = {} if size is None else {"pixel_size": size}
    out = train(config(data, tmp_path / "run", mine, careful=True, **options))
    assert "Kept the model as it was" in capsys.readouterr().out
    now = load_model(out / "model.safetensors")[1]
    assert (now.zoom, now.pixel_size) == (zoom, kept)
    before, after = (se.load(path, device="cpu") for path in (mine, out))
    image = np.zeros((40, 40), np.uint8)
    spacing = None if size is None else (size, size)
    assert before.for_image(image, spacing=spacing).zoom == after.for_image(image).zoom


@pytest.mark.parametrize(
    ("by_start", "by_result", "is_right"),
    [(12.0, 12.0, True), (12.0, 16.0, False), (16.0, 12.0, False)],
)
def test_a_start_that_finds_sizes_goes_on_so_where_both_are_right(
    start, tmp_path, monkeypatch, capsys, by_start, by_result, is_right
):
    def found(model, pixels, name):
        return by_result if "few_images" in model.spec.training else by_start

    monkeypatch.setattr(learn, "LOST", 0.0)
    monkeypatch.setattr(Model, "own_diameter", found)
    data = write_discs(tmp_path / "data" / "train", 1).parent
    network, spec = load_model(start)
    finder, size = tmp_path / "finder.safetensors", {"object_diameter": 22.0, "zoom": 0.5}
    save_model(finder, network, replace(spec, finds_size=True, **size))
    out = train(config(data, tmp_path / "run", finder))
    now = load_model(out / "model.safetensors")[1]
    assert now.finds_size == is_right
    assert ("as before" in capsys.readouterr().out) == is_right
    assert (now.object_diameter == 22.0) == is_right
    assert now.zoom * now.object_diameter == pytest.approx(11.0, rel=0.01)


@pytest.mark.parametrize("images", [1, 3])
def test_a_mixture_that_was_chosen_is_of_the_mean_of_both_parts(
    start, tmp_path, monkeypatch, capsys, images
):
    """The choice is given; what is learned from is looked at."""
    seen, trained = [], Tuning.trained

    def noted(self, samples=None):
        reached = trained(self, samples)
        seen.append(([s.name for s in samples or ()], reached[0]))
        return reached

    def chosen(found):
        [choice] = (c for c in found if (c.share, c.stages) == (0.5, 1) and _is(c, 0.4))
        return choice

    monkeypatch.setattr(Tuning, "trained", noted)
    monkeypatch.setattr(ways, "choose", chosen)
    monkeypatch.setattr(learn, "LOST", 0.0)
    data = write_discs(tmp_path / "data" / "train", images).parent
    out = train(config(data, tmp_path / "run", start))
    (names, one), (others, other) = seen
    assert sorted(names + others) == (["0", "0"] if images == 1 else ["0", "1", "2"])
    (before, then), (after, now) = load_model(start), load_model(out / "model.safetensors")
    for name, tensor in before.state_dict().items():
        if tensor.is_floating_point():
            mean = (tensor + (one[name] + other[name]) / 2) / 2
            assert after.state_dict()[name].allclose(mean, atol=1e-6), name
    changed = {
        name.partition(".")[0]
        for name, tensor in before.state_dict().items()
        if not tensor.equal(after.state_dict()[name])
    }
    assert changed == {"up", "embedding_head", "seed_head"}  # the first stage's alone
    assert now.seed_threshold == 0.4
    assert now.zoom == then.zoom
    assert now.training["symmetries"] == 4
    assert now.training["holdout"] == 0
    notes = now.training["few_images"]
    assert (notes["share"], notes["stages"], notes["steps"]) == (0.5, 1, 30)
    assert notes["objects"] == 8 * images
    with (out / "losses.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["10", "15"]  # the last one's
    assert "kept 50% of the way from the start" in " ".join(capsys.readouterr().out.split())


def _is(choice: Choice, seed: float) -> bool:
    return choice.setting.seed_threshold == seed


def test_a_start_that_finds_nothing_is_trained_further_as_it_is(start, tmp_path, monkeypatch):
    """What it finds after half of the time is given."""
    seen, trained = [], Tuning.trained

    def noted(self, samples=None):
        reached = trained(self, samples)
        seen.append((samples is None, self.start, reached[-1]))
        return reached

    def found(tuning, folds, trained, share=1.0, seeds=(), others=()):
        own = tuning.setting
        pairs = others or [(own.foreground_threshold, own.min_size)]
        every = np.ones((9, 8), bool), np.zeros(9, np.int64)
        return {
            Setting(seed, *pair): [Tally(*every) for fold in folds for _ in fold.judged]
            for seed in seeds or (0.5, 0.6)
            for pair in pairs
        }

    monkeypatch.setattr(Tuning, "trained", noted)
    monkeypatch.setattr(ways, "judged", found)
    data = write_discs(tmp_path / "data" / "train", 2).parent
    out = train(config(data, tmp_path / "run", start))
    (whole, _, first), (last, second, reached) = seen
    assert (whole, last) == (False, True)
    assert first is second  # from all images it goes on from what the first part taught
    network, spec = load_model(out / "model.safetensors")
    weights = network.state_dict()
    assert all(weights[name].equal(reached[name]) for name in weights)
    assert spec.training["few_images"]["steps"] == 30
    assert spec.training["few_images"]["share"] == 1
    assert (spec.seed_threshold, spec.foreground_threshold) == (0.6, 0.5)
    assert any(  # the encoder learns too
        not tensor.equal(reached[name])
        for name, tensor in load_file(start).items()
        if "down" in name
    )


def test_validation_images_judge_and_one_training_is_enough(start, tmp_path, monkeypatch):
    parts = []
    trained = Tuning.trained
    monkeypatch.setattr(
        Tuning, "trained", lambda self, *a, **k: parts.append(a) or trained(self, *a, **k)
    )
    data = write_discs(tmp_path / "data" / "train", 2).parent
    write_discs(data / "val", 3, seed=1)
    out = train(config(data, tmp_path / "run", start))
    assert len(parts) == 1
    assert load_model(out / "model.safetensors")[1].training["few_images"]["images"] == 3


def test_a_recipe_is_followed_if_asked_for_or_on_many_images(start, tmp_path, monkeypatch):
    monkeypatch.setattr("spatialembed.training.few_images.careful.FEW", {2: 4})
    data = write_discs(tmp_path / "data" / "train", 4).parent
    for name, careful in (("many", None), ("asked", False)):
        out = train(config(data, tmp_path / name, start, careful=careful, steps=1))
        assert (out / "checkpoint.pt").is_file()
        assert "few_images" not in load_model(out / "model.safetensors")[1].training
    out = train(config(data, tmp_path / "careful", start, careful=True, steps=6))
    assert "few_images" in load_model(out / "model.safetensors")[1].training


def test_what_cannot_be_done_says_why(start, tmp_path):
    data = write_discs(tmp_path / "data" / "train", 1).parent
    with pytest.raises(UserError, match="add --init"):
        TrainConfig(careful=True)
    with pytest.raises(UserError, match="knows no groups: leave out --groups"):
        train(config(data, tmp_path / "run", start, groups="^(.)"))
    with pytest.raises(UserError, match="one process: leave out --devices"):
        train(config(data, tmp_path / "run", start, devices=2))
    assert not (tmp_path / "run").exists()
    out = train(config(data, tmp_path / "run", start, steps=6))
    with pytest.raises(UserError, match=r"nothing to resume"):
        train(config(data, out, start, resume=True))
    with pytest.raises(UserError, match=r"is there already"):
        train(config(data, out, start))


def test_one_object_keeps_the_start(start, tmp_path, capsys):
    from PIL import Image

    data = write_discs(tmp_path / "data" / "train", 1).parent
    path = data / "train" / "masks" / "0.png"
    with Image.open(path) as mask:
        alone = mask.point(lambda value: value * (value == 1))
    alone.save(path)
    out = train(config(data, tmp_path / "run", start, holdout=0.5))
    assert load_model(out / "model.safetensors")[1].training["few_images"]["share"] == 0
    said = capsys.readouterr()
    assert "one object cannot tell" in said.out
    assert "deals out itself: --holdout 0.5 has no effect" in " ".join(said.err.split())


def test_the_option_is_one_word(start):
    careful = [
        read_recipe("nuclei", "data", f"--init={start}", *o).careful
        for o in ((), ("--careful=false",))
    ]
    assert careful == [None, False]


def test_minutes_are_shared_between_training_and_judging():
    folds = folds_of(_images(10))
    budget = Budget(120.0, None, began=float("inf"), trainings=2)
    assert [len(fold.judged) for fold in budget.thinned(folds, image=0.1)] == [5, 5]
    assert budget.candidates == len(CANDIDATES)
    thinned = budget.thinned(folds, image=2.0)
    assert [len(fold.judged) for fold in thinned] == [2, 2]
    assert budget.candidates == 3
    assert [len(fold.judged) for fold in budget.thinned(folds, image=60.0)] == [1, 1]


def _images(count: int) -> list:
    from test_folds import with_objects

    return [with_objects(3, str(k)) for k in range(count)]


def test_several_folders_are_trained_on_by_the_recipe(tmp_path):
    several = TrainConfig(data=tmp_path, also=[tmp_path / "b"], init=tmp_path / "a.safetensors")
    assert not is_careful(several)
    with pytest.raises(UserError, match="one folder"):
        is_careful(replace(several, careful=True))


def test_a_start_for_grey_images_names_those_for_color(start, tmp_path) -> None:
    data = write_discs(tmp_path / "data" / "train", 2).parent
    for image in (data / "train" / "images").iterdir():
        Image.merge(
            "RGB", [Image.open(image).point(lambda v, n=n: v // n) for n in (1, 2, 3)]
        ).save(image)
    told = rf"{start.name} takes grey images, the data's are in color; take .* \(.*cells.*tissue\)"
    with pytest.raises(UserError, match=told):
        train(config(data, tmp_path / "run", start))


def test_steps_are_no_more_than_asked_for_or_it_is_said(start, tmp_path, capsys) -> None:
    assert Budget(None, 7.0, 0.0, 2).steps_of_one(lambda: 0.0) == 3
    data = write_discs(tmp_path / "data" / "train", 1).parent
    for steps, more in (("3", True), ("4", False)):
        out, recipe = tmp_path / steps, f"--stages=[{{crop_size: 64, steps: {steps}}}]"
        arguments = [f"--init={start}", f"--out={out}", recipe, "--batch=2", "--workers=0"]
        assert main(["train", str(data), "--device=cpu", *arguments]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "2 trainings of 2 steps" in said
        assert ("that is more than the 3 asked for" in said) == more

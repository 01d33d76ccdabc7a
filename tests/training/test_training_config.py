"""Options of a run, its length in steps and its learning rates."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spatialembed.cli.options import read_recipe
from spatialembed.cli.recipe import recipes
from spatialembed.errors import UserError
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.config import TrainConfig
from spatialembed.training.schedule import Plan, learning_rate, validation_steps
from spatialembed.training.stage_config import StageConfig


def test_values_of_numpy_and_torch_are_those_of_python() -> None:
    stage = StageConfig(steps=np.int64(3), crop_size=np.int32(64), learning_rate=np.float32(0.5))
    config = TrainConfig(
        classes=np.array(["car"]),
        network_options={"widths": np.array([32, 64])},
        spacing=torch.tensor([1.0, 2.0, 2.0]),
        foreground_weight=np.float32(2),
        refine=np.bool_(True),
        seed=np.uint64(3),
        stages=(stage,),
        device=torch.device("cpu"),
    )
    expected = TrainConfig(
        classes=["car"],
        network_options={"widths": [32, 64]},
        spacing=[1.0, 2.0, 2.0],
        foreground_weight=2.0,
        refine=True,
        seed=3,
        stages=[StageConfig(steps=3, crop_size=64, learning_rate=0.5)],
        device="cpu",
    )
    assert config == expected
    assert repr(config) == repr(expected)
    with pytest.raises(UserError, match="also must be a list of paths, not 'b'"):
        TrainConfig(also="b")


@pytest.mark.parametrize("recipe", recipes(), ids=lambda path: path.stem)
def test_every_recipe_is_read_and_its_network_built(recipe: Path) -> None:
    from spatialembed.models import build, strides

    config = read_recipe(recipe, "data")
    network = build(config.network, 3, config.n_sigma, 1, config.dims, **config.network_options)
    for stage in config.stages:
        of = strides(network, config.dims)
        assert all(n % own == 0 for n, own in zip(stage.crop_shape, of, strict=True))


def test_the_papers_recipe_is_the_papers() -> None:
    config = read_recipe("cityscapes", "data")
    first, second = config.stages
    assert (first.crop_size, first.batch_size, first.epochs) == (512, 16, 200)
    assert (second.crop_size, second.batch_size, second.epochs) == (1024, 2, 50)
    assert second.freeze_batch_norm
    assert (config.optimizer, first.learning_rate, config.weight_decay) == ("adam", 5e-4, 1e-4)
    assert (config.network, config.n_sigma, config.center) == ("branched_erfnet", 1, "centroid")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of"),
        ({"epochs": 1, "steps": 1}, "exactly one of"),
        ({"steps": 0}, "steps must be above 0"),
        ({"steps": 1, "crop_size": 100}, "multiple of 8"),
        ({"steps": 1, "background_share": 2}, "background_share"),
        ({"steps": 1, "warmup_steps": -1}, "warmup_steps"),
        ({"minutes": float("nan")}, "minutes must be above 0"),
        ({"steps": 1, "decay": "linear"}, "decay must be one of 'polynomial', 'cosine'"),
        ({"steps": "1"}, "steps must be a whole number, not '1'"),
        ({"steps": 1, "augmentation": None}, "augmentation must be a mapping"),
    ],
)
def test_bad_stages_are_refused(options, message) -> None:
    with pytest.raises(UserError, match=message):
        StageConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": []}, "at least one stage"),
        ({"epochs": 1, "minutes": 1}, "not several"),
        ({"steps": 0}, "steps must be above 0"),
        ({"average": 1.0}, "average"),
        ({"workers": -1}, "workers"),
        ({"devices": 0}, "devices must be above 0"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"optimizer": "sgd"}, "optimizer must be one of 'adam', 'adamw', not 'sgd'"),
        ({"precision": "fp16"}, "precision must be one of"),
        ({"validation": "hold"}, "validation must be one of"),
        ({"normalization": "percentiles"}, "normalization must be one of"),
        ({"out": 3}, "out must be a path, not 3"),
        ({"classes": "car"}, "classes must be a list of names"),
    ],
)
def test_bad_runs_are_refused(options, message) -> None:
    with pytest.raises(UserError, match=message):
        TrainConfig(**options)


def test_text_will_do_for_a_path() -> None:
    config = TrainConfig(data="d", out="o/r", init="nuclei", also=["e"], stages=[{"steps": 2}])
    assert config == TrainConfig(
        Path("d"), [Path("e")], Path("o/r"), init=Path("nuclei"), stages=[StageConfig(steps=2)]
    )
    assert config.out / "x" == Path("o/r/x")


def test_a_length_for_the_run_is_shared_among_its_stages() -> None:
    stages = [StageConfig(minutes=30), StageConfig(minutes=10, batch_size=2)]
    shared = TrainConfig(stages=stages, minutes=8, batch=3).scheduled()
    assert [s.minutes for s in shared] == [6, 2]
    assert [s.batch_size for s in shared] == [3, 3]
    in_steps = TrainConfig(stages=stages, steps=100).scheduled()
    assert [(s.steps, s.minutes) for s in in_steps] == [(75, None), (25, None)]
    mixed = TrainConfig(stages=[StageConfig(steps=3), StageConfig(epochs=1)], minutes=1)
    with pytest.raises(UserError, match="different units"):
        mixed.scheduled()


def test_plan_finds_stage_and_crop_of_every_step() -> None:
    plan = Plan((3, 2))
    stages = [StageConfig(steps=3, batch_size=8), StageConfig(steps=2, batch_size=2)]
    assert [plan.locate(s) for s in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)]
    assert [plan.crops_before(s, stages) for s in range(6)] == [0, 8, 16, 24, 26, 28]


def test_learning_rates() -> None:
    stage = StageConfig(steps=100, learning_rate=1.0, warmup_steps=4, decay="polynomial")
    rates = [learning_rate(stage, s, 100) for s in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[4] == pytest.approx(0.96**0.9)
    assert all(a > b > 0 for a, b in pairwise(rates[4:]))
    cosine = StageConfig(steps=100, learning_rate=2.0, decay="cosine")
    assert learning_rate(cosine, 50, 100) == pytest.approx(1)


@pytest.mark.parametrize(("steps", "count"), [(100, 4), (7, 3), (2, 5), (1, 1)])
def test_validations_are_spread_and_the_last_is_at_the_end(steps, count) -> None:
    at = validation_steps(StageConfig(steps=steps, validations=count), steps)
    assert max(at) == steps
    assert len(at) == min(count, steps)
    assert min(at) >= 1


@pytest.mark.parametrize(("steps", "count"), [(30, 1), (420, 2), (5000, 4)])
def test_validations_of_short_minutes_are_few(steps, count) -> None:
    at = validation_steps(StageConfig(minutes=2.0, validations=4), steps)
    assert len(at) == count
    assert max(at) == steps


def test_average_follows_the_weights_and_their_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        for _ in range(40):
            network[0].weight.fill_(3)
            network[1].running_mean.fill_(7)
            network[1].num_batches_tracked += 1
            average.update()
    assert torch.allclose(average.network[0].weight, torch.tensor(3.0))
    assert torch.allclose(average.network[1].running_mean, torch.tensor(7.0))
    assert average.network[1].num_batches_tracked == 40
    again = WeightAverage(network, 0.5)
    again.load_state_dict(average.state_dict())
    assert again.updates == 40


@pytest.mark.parametrize("wrong", [-1.0, [1.0, -1.0], float("nan"), float("inf")])
def test_a_weight_of_the_foreground_is_refused_in_a_sentence(wrong) -> None:
    with pytest.raises(UserError, match="foreground_weight must be a number from 0 up"):
        TrainConfig(foreground_weight=wrong)


def test_a_minimum_size_of_none_is_not_taken_for_its_own() -> None:
    with pytest.raises(UserError, match="min_size must be above 0, not 0"):
        TrainConfig(min_size=0)

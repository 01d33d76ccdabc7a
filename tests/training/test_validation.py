"""One clustering gives the scores of every seed threshold; calibration moves only when sure."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spatialembed.data import open_data
from spatialembed.demo.scenes import make_scenes
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.metrics.average_precision import score_images
from spatialembed.models.spec import ModelSpec
from spatialembed.training.calibrate import _clearly_best, calibrate
from spatialembed.training.validation import (
    SEED_THRESHOLDS,
    Setting,
    Validation,
    validate,
)


class Imperfect(torch.nn.Module):
    """Stands where a network would: raw outputs with objects at many scores and much noise."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(int(image.sum() * 1000) % 1000)
        b, _, h, w = image.shape
        output = torch.randn(b, 5, h, w, generator=generator) * 0.005
        output[:, 2] = 0.95
        coarse = torch.randn(b, 2, h // 8, w // 8, generator=generator) * 1.3
        output[:, 3:] = torch.nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")
        return output


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes")
    make_scenes(out, 0, 3, (160, 96))
    return open_data(out, "val", ["car", "person"])


@pytest.mark.parametrize("refine", [False, True])
def test_every_seed_threshold_scores_as_if_clustered_with_it(scenes, refine) -> None:
    spec = ModelSpec("residual_unet", class_names=("car", "person"), min_size=5, refine=refine)
    model = Model(TorchNetwork(Imperfect()), spec)
    scores = validate(model, scenes)
    assert scores.ap.shape == (len(SEED_THRESHOLDS), 3)
    counts = set()
    for i, setting in enumerate(scores.settings):
        found = [
            model.cluster(model.raw(scenes[k].image), *vars(setting).values()) for k in range(3)
        ]
        counts.add(sum(len(f) for f in found))
        pairs = [
            (f, s.label_mask, s.class_map, s.ignore, s.name)
            for f, s in ((found[k], scenes[k]) for k in range(3))
        ]
        rows = score_images(pairs, scenes.class_names)["images"]
        assert scores.ap[i].tolist() == pytest.approx([row["ap"] for row in rows])
        assert scores.ap50[i].tolist() == pytest.approx([row["ap50"] for row in rows])
    assert len(counts) > 3  # thresholds that differ


def setting(seed: float) -> Setting:
    return Setting(seed, 0.5, 10)


def test_calibration_leaves_the_default_only_for_a_clear_margin() -> None:
    rng = np.random.default_rng(0)
    default = rng.random(60)
    settings = (setting(0.9), setting(0.8), setting(0.7))
    by_chance = default + rng.normal(0.001, 0.1, 60)
    clear = default + rng.normal(0.05, 0.1, 60)
    same = default.copy()
    scores = Validation(settings, np.stack([default, by_chance, same]), np.zeros((3, 60)))
    if scores.best:
        assert _clearly_best(scores, settings, settings[0]) == settings[0]
    scores = Validation(settings, np.stack([default, by_chance, clear]), np.zeros((3, 60)))
    assert _clearly_best(scores, settings, settings[0]) == settings[2]


def test_what_is_found_in_images_without_objects_counts() -> None:
    rng = np.random.default_rng(0)
    settings = (setting(0.5), setting(0.9))
    ap = np.stack([0.8 + rng.normal(0, 0.01, 40), 0.79 + rng.normal(0, 0.01, 40)])
    ap[:, 20:] = 0  # no object is there
    spared = np.where(np.arange(40) < 20, 0.0, [[0.25], [1.0]])
    seen = Validation(settings, ap, ap, spared)
    assert _clearly_best(seen, settings, settings[0]) == settings[1]
    assert _clearly_best(Validation(settings, ap, ap), settings, settings[0]) == settings[0]


def test_images_without_objects_are_told_from_others(scenes) -> None:
    sample = scenes[0]
    nothing = replace(
        sample, label_mask=sample.label_mask * 0, class_map=np.full_like(sample.class_map, -1)
    )
    spec = ModelSpec("residual_unet", class_names=("car", "person"), min_size=5)
    model = Model(TorchNetwork(Imperfect()), spec)
    scores = validate(model, [sample, nothing])
    found = [
        len(model.cluster(model.raw(sample.image), *vars(s).values())) for s in scores.settings
    ]
    assert found[0] > found[-1]
    assert scores.spared is not None
    assert scores.spared.T[0].tolist() == [0] * len(found)
    assert scores.spared.T[1] == pytest.approx([1 / (1 + n) for n in found])
    assert validate(model, [sample]).spared is None


def test_what_two_images_agree_on_may_be_chance() -> None:
    settings = (Setting(0.9, 0.5, 20), Setting(0.7, 0.5, 20))
    scores = Validation(settings, np.array([[0.2, 0.3], [0.3, 0.37]]), np.zeros((2, 2)))
    assert _clearly_best(scores, settings, settings[0]) == settings[0]  # 5.7 standard errors


@pytest.mark.parametrize("foreground", [0.0, 0.35, 0.5, 0.97])
def test_any_foreground_threshold_may_be_the_default(scenes, foreground) -> None:
    names = ("car", "person")
    spec = ModelSpec(
        "residual_unet", class_names=names, min_size=5, foreground_threshold=foreground
    )
    model = Model(TorchNetwork(Imperfect()), spec)
    single = [scenes[0]]  # which decides nothing
    calibrated, scores = calibrate(model, single)
    assert calibrated == spec
    tried = {s.foreground_threshold for s in scores.settings}
    assert tried == {0.4, 0.5, 0.6, foreground}
    row = scores.settings.index(Setting(spec.seed_threshold, foreground, 5))
    found = model.cluster(model.raw(single[0].image))
    truth = single[0].label_mask, single[0].class_map, single[0].ignore
    rows = score_images([(found, *truth, "x")], names)["images"]
    assert scores.ap[row, 0] == pytest.approx(rows[0]["ap"])


def test_calibration_on_a_single_image_leaves_only_a_default_that_finds_little() -> None:
    settings = (setting(0.9), setting(0.5))
    for ap, kept in ((0.25, 0), (0.15, 1), (0.0, 1)):
        scores = Validation(settings, np.array([[ap], [0.4]]), np.zeros((2, 1)))
        assert _clearly_best(scores, settings, settings[0]) == settings[kept]
    nothing = Validation(settings, np.zeros((2, 1)), np.zeros((2, 1)))
    assert _clearly_best(nothing, settings, settings[0]) == settings[0]


def test_an_image_that_does_not_fit_names_the_remedy_of_a_training(scenes) -> None:
    class Full(Imperfect):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    spec = ModelSpec("residual_unet", class_names=("car", "person"))
    with pytest.raises(UserError, match=r"validate on: start again .*--resume") as raised:
        validate(Model(TorchNetwork(Full()), spec), scenes)
    assert scenes[0].name in str(raised.value)
    assert ".zarr" not in str(raised.value)

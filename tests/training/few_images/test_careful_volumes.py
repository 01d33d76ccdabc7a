"""Careful runs on volumes: one code with those on images, so what volumes alone have is tested."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from spatialembed.cli.main import main
from spatialembed.data.sample import Sample
from spatialembed.demo.volumes import write_volumes
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.training import StageConfig, TrainConfig, train
from spatialembed.training.few_images import ways
from spatialembed.training.few_images.careful import careful, is_careful
from spatialembed.training.few_images.folds import halves
from spatialembed.training.prepare import gather
from spatialembed.training.volumes import pitch_of

SPACING = (0.8, 0.3, 0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """One volume of (14, 40, 44)."""
    root = tmp_path_factory.mktemp("volumes") / "data"
    write_volumes(root, 1, 0, 0, shape=(14, 40, 44), spacing=SPACING)
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A model of volumes that knows nothing yet."""
    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet",
        {"widths": [4, 6], "blocks": [1, 1], "fine": 2, "flat": 1},
        n_sigma=3,
        in_channels=1,
        dims=3,
        pitch=pitch_of(SPACING, 1.0),
        spacing=SPACING,
        normalization=Normalization("percentile"),
        object_diameter=12.0,
        training={"center": "learned", "symmetries": 8, "diameters": [6.0, 30.0]},
    )
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_model(path, spec.build(), spec)
    return path


def test_a_mixture_is_trained_without_a_recipe(start, data, tmp_path, monkeypatch, capsys) -> None:
    chosen = {"share": 0.5, "stages": 2}

    def choose(found):
        return next(c for c in found if (c.share, c.stages) == tuple(chosen.values()))

    monkeypatch.setattr(ways, "choose", choose)
    monkeypatch.setattr("spatialembed.training.few_images.learn.LOST", 0.0)
    options = ("--steps=6", "--device=cpu", "--workers=0", "--batch=1")
    out = tmp_path / "run"
    assert main(["train", str(data), f"--init={start}", f"--out={out}", *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "few volumes: learning carefully" in said
    assert "On volumes that were held back" in said
    (before, then), (after, now) = load_model(start), load_model(out / "model.safetensors")
    same = [
        torch.equal(*pair) for pair in zip(before.parameters(), after.parameters(), strict=True)
    ]
    assert sum(same) < len(same) / 2
    assert (now.dims, now.pitch, now.spacing) == (3, then.pitch, then.spacing)
    assert now.training["few_images"].items() >= chosen.items()


def test_crops_without_a_recipe_fit_the_network(start, data, tmp_path) -> None:
    spec = load_model(start)[1]
    own = careful(TrainConfig(data=data, init=start), spec)
    assert {stage.crop_shape for stage in own.stages} == {(24, 48, 48)}
    deep = {"widths": [2] * 5, "blocks": [1] * 5, "fine": 0, "flat": 0}
    spec = ModelSpec("residual_unet", deep, dims=3, pitch=(1.0, 1.0, 1.0))
    own = careful(TrainConfig(data=data, init=start), spec)
    assert {stage.crop_shape for stage in own.stages} == {(32, 64, 64)}
    said = [StageConfig(crop_size=16, crop_depth=8, steps=1)]
    own = careful(TrainConfig(data=data, init=start, stages=said), spec)
    assert {stage.crop_shape for stage in own.stages} == {(8, 16, 16)}
    with pytest.raises(UserError, match="by --config volumes"):  # a recipe of images
        train(
            TrainConfig(
                data=data, init=start, out=tmp_path, stages=[StageConfig(crop_size=64, steps=1)]
            )
        )


def test_from_how_many_volumes_a_recipe_is_followed(start, data, monkeypatch) -> None:
    assert is_careful(TrainConfig(data=data, init=start))
    monkeypatch.setattr("spatialembed.training.few_images.careful.FEW", {2: 30, 3: 1})
    assert not is_careful(TrainConfig(data=data, init=start))
    assert is_careful(TrainConfig(data=data, init=start, careful=True))


def test_other_proportions_are_warned_of(start, data, tmp_path, capsys) -> None:
    options = (
        "--steps=2",
        "--device=cpu",
        "--workers=0",
        "--batch=1",
        "--spacing",
        "3",
        "1",
        "1.5",
    )
    out = tmp_path / "run"
    assert main(["train", str(data), f"--init={start}", f"--out={out}", *options]) == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "its voxels are 3 x 1 x 1.5 µm (z, y, x)" in said
    assert "those that the start learned from 0.8 x 0.3 x 0.3 µm" in said
    assert load_model(out / "model.safetensors")[1].pitch == load_model(start)[1].pitch


def test_a_volume_is_cut_across_its_planes() -> None:
    label_mask = np.zeros((50, 12, 30), np.int32)
    for k, x in enumerate((2, 9, 16, 24)):
        label_mask[5 + 10 * k : 9 + 10 * k, 3:8, x : x + 4] = k + 1
    class_map = np.where(label_mask > 0, 0, -1).astype(np.int16)
    image = label_mask[..., None].astype(np.uint8)
    whole = Sample("a", image, label_mask, class_map, np.zeros(label_mask.shape, bool))
    one, other = halves(whole)
    assert [sorted(np.unique(half.label_mask)) for half in (one, other)] == [[0, 1, 2], [0, 3, 4]]
    np.testing.assert_array_equal(one.ignore, ~other.ignore)
    assert not one.ignore[..., :14].any()
    assert one.ignore[..., 20:].all()


def test_files_that_state_no_spacing_have_that_of_the_start(start, data, tmp_path) -> None:
    silent = tmp_path / "data"
    for path in data.rglob("*.tif"):
        to = silent / path.relative_to(data)
        to.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(to, tifffile.imread(path), metadata={"axes": "ZYX"})
    stage = StageConfig(crop_size=16, crop_depth=8, batch_size=1, steps=1)
    config = TrainConfig(data=silent, init=start, stages=[stage])
    material = gather(config, hold_out=False)
    assert material.spec.spacing == SPACING
    assert material.spec.pitch == pytest.approx(load_model(start)[1].pitch)
    assert any(f"the distances of {start} are taken" in str(one) for one in material.warnings)

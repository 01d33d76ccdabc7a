"""Training of several targets: the loss of each, and a short run from command to score."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
import yaml

import reference
import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.data.targets import Targets
from spatialembed.demo.cells import make_cells
from spatialembed.errors import UserError
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models.spec import Target
from spatialembed.training import train
from spatialembed.training.prepare import gather
from spatialembed.training.step import by_target


def blobs(count: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Output (2, count * 4, 20, 24), and truth (2, count, 20, 24); one target is unknown in one."""
    rng = np.random.default_rng(seed)
    output = rng.normal(0, 0.01, (2, count, 4, 20, 24))
    output[:, :, 2] += 1
    labels = np.zeros((2, count, 20, 24), np.int64)
    for b, t in np.ndindex(2, count):
        for k in range(3):
            y, x = rng.integers(0, 14, 2)
            labels[b, t, y : y + 6, x : x + 4 + t] = k + 1
    ignore = np.zeros(labels.shape, bool)
    labels[1, 0], ignore[1, 0] = 0, True
    arrays = (output.reshape(2, -1, 20, 24), labels, (labels > 0) - 1, ignore)
    return tuple(map(torch.from_numpy, arrays))


@pytest.mark.parametrize("count", [2, 3])
def test_the_loss_is_the_mean_over_targets_of_naive_loops(count) -> None:
    output, labels, classes, ignore = blobs(count, seed=count)
    output.requires_grad_()
    loss = SpatialEmbeddingLoss(n_sigma=1)
    terms = loss(*by_target(output, labels, classes, ignore))
    terms["total"].backward()
    expected = []
    for k in range(count):
        own = output[:, 4 * k : 4 * k + 4].detach().clone().requires_grad_()
        alone = loss(own, labels[:, k], classes[:, k], ignore[:, k])
        alone["total"].backward()
        np.testing.assert_allclose(output.grad[:, 4 * k : 4 * k + 4], own.grad / count, rtol=1e-9)
        given = (own.detach(), labels[:, k], classes[:, k], ignore[:, k])
        naive = reference.loss(*given)
        expected.append({name: float(value) for name, value in naive.items()})
    for name in ("instance", "variance", "seed"):
        mean = np.mean([each[name] for each in expected])
        assert float(terms[name].detach()) == pytest.approx(mean, rel=1e-6)
    assert not output.grad[1, :4].any()  # of what nobody knows


def test_one_target_is_left_as_it_is() -> None:
    output, labels = torch.rand(2, 4, 6, 6), torch.zeros(2, 6, 6)
    assert by_target(output, labels)[0] is output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("targets")
    make_cells(root / "DATA", {"train": 6, "val": 2, "test": 1}, side=64)
    (root / "small.yaml").write_text(
        yaml.safe_dump(
            {
                "network": "residual_unet",
                "network_options": {"widths": [12, 16, 24], "blocks": [1, 1, 1], "fine": 8},
                "n_sigma": 2,
                "center": "learned",
                "normalization": "percentile",
                "optimizer": "adamw",
                "stages": [
                    {
                        "crop_size": 48,
                        "batch_size": 4,
                        "steps": 150,
                        "learning_rate": 0.005,
                        "decay": "cosine",
                        "validations": 1,
                    }
                ],
            }
        )
    )
    return root


@pytest.fixture(scope="module")
def run(made):
    out = made / "run"
    given = ["train", str(made / "DATA"), "--config", str(made / "small.yaml"), "--workers", "0"]
    assert main([*given, "--device", "cpu", "--out", str(out)]) == 0
    return out


def test_a_run_learns_both(run, made) -> None:
    model = se.load(run, device="cpu")
    assert model.spec.class_names == ("cells", "nuclei")
    cells, nuclei = model.spec.targets
    assert cells.object_diameter > nuclei.object_diameter == model.spec.object_diameter
    assert cells.min_size > nuclei.min_size
    [row] = csv.DictReader((run / "validation.csv").open())
    mean = (float(row["ap_cells"]) + float(row["ap_nuclei"])) / 2
    assert float(row["ap"]) == pytest.approx(mean, abs=2e-6)  # written with six places
    # Offsets of nothing and one margin for all find far less.
    assert min(float(row["ap_cells"]), float(row["ap_nuclei"])) > 0.05
    pictures = sorted(path.name for path in (run / "pictures").iterdir())
    names = [f"0000150_val00{i}_{t}.png" for i in range(2) for t in model.spec.class_names]
    assert pictures == sorted(names)
    out = made / "scored"
    given = ["evaluate", str(run), str(made / "DATA"), "--out", str(out), "--pictures", "1"]
    assert main([*given, "--device", "cpu"]) == 0
    for target in model.spec.class_names:
        held = json.loads((out / target / "evaluation.json").read_text())
        assert list(held["classes"]) == [target]
        assert (out / target / "page.html").is_file()


def test_a_run_goes_on_from_its_checkpoint_and_from_its_model(run, made) -> None:
    assert main(["train", str(made / "DATA"), "--resume", "--out", str(run)]) == 0
    again = read_recipe(
        str(made / "small.yaml"), made / "DATA", f"--out={made / 'next'}", f"--init={run}"
    )
    material = gather(again)
    known = se.load(run, device="cpu").spec
    thresholds = [own.seed_threshold for own in material.spec.targets]
    assert thresholds == [own.seed_threshold for own in known.targets]


def config(made, *options):
    given = (f"--out={made / 'no'}", "--workers=0", "--device=cpu")
    return read_recipe(str(made / "small.yaml"), made / "DATA", *given, *options)


def test_objects_are_shown_by_the_size_of_the_smallest_target(made) -> None:
    material = gather(config(made, "--diameter=20"))
    assert isinstance(material.train, Targets)
    spec = material.spec
    assert spec.zoom == pytest.approx(20 / spec.targets[1].object_diameter, rel=1e-2)
    assert spec.targets != (Target(), Target())
    alone = gather(config(made, "--classes", "nuclei"))
    assert (alone.spec.targets, alone.spec.class_names) == ((), ("nuclei",))
    assert alone.spec.object_diameter == pytest.approx(spec.object_diameter)


def test_what_training_does_not_take_is_refused(made, run) -> None:
    make_cells(made / "MORE", {"train": 2, "val": 1}, side=64)
    with pytest.raises(UserError, match="masks of several targets: leave --also away"):
        gather(config(made, "--also", str(made / "MORE")))
    with pytest.raises(UserError, match="foreground_weight is one number"):
        gather(config(made, "--foreground_weight=[1, 2]"))
    with pytest.raises(UserError, match="careful training is of one target"):
        train(config(made, f"--init={run}", "--careful=true"))
    with pytest.raises(UserError, match=r"run finds cells and nuclei, the data holds nuclei"):
        train(replace(config(made, f"--init={run}", "--careful=false"), classes=["nuclei"]))
    other = config(made, f"--init={run}", "--careful=false")
    with pytest.raises(UserError, match="another order: add --classes cells nuclei"):
        train(replace(other, classes=["nuclei", "cells"]))


def test_a_target_of_specks_alone_is_refused(made, tmp_path) -> None:
    data = shutil.copytree(made / "DATA", tmp_path / "DATA")
    for path in (data / "train" / "masks" / "nuclei").iterdir():
        specks = np.zeros((64, 64), np.uint16)
        specks[::8, ::8] = np.arange(1, 65).reshape(8, 8)
        tifffile.imwrite(path, specks)
    with pytest.raises(UserError, match="has specks alone of nuclei beside the objects of other"):
        gather(replace(config(made), data=data))

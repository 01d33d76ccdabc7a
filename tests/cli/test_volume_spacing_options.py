"""How far voxels lie apart: what `train --spacing` takes, what files state, what is said of it."""

import numpy as np
import pytest
import tifffile
from test_cli import errors_of
from test_volume_commands import SPACING, TINY

from spatialembed.cli.main import main
from spatialembed.data.open import scan_data
from spatialembed.demo.volumes import write_volumes
from spatialembed.models.checkpoint import load_model
from spatialembed.training.config import TrainConfig
from spatialembed.training.volumes import spacing_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two volumes to train on and one to validate on, (14, 40, 44)."""
    root = tmp_path_factory.mktemp("volumes") / "data"
    write_volumes(root, 2, 1, 0, shape=(14, 40, 44), spacing=SPACING)
    return root


@pytest.mark.parametrize(
    "spacing",
    [
        ("0.3",),
        ("0.3", "0.1"),
        ("0", "1", "1"),
        ("-1", "1", "1"),
        ("nan", "1", "1"),
        ("a", "1", "1"),
        ("1", "1", "1", "1"),
        ("inf", "1", "1"),
    ],
)
def test_wrong_spacings_are_refused(data, tmp_path, capsys, spacing) -> None:
    asked = ["train", data, "--config", "volumes", "--out", tmp_path / "run", "--steps", "1"]
    assert "spacing" in errors_of(capsys, *asked, "--spacing", *spacing)
    assert not (tmp_path / "run").exists()


def test_a_spacing_that_is_given_is_taken(data, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    asked = ["--config", "volumes", "--out", out, "--steps", "1", "--batch", "2", *TINY]
    asked += ["--spacing", "3", "1", "1.5"]
    assert main([str(one) for one in ("train", data, *asked)]) == 0
    _, spec = load_model(out)
    assert spec.spacing == (3, 1, 1.5)
    assert not spec.training["spacing_stated"]
    said = " ".join("".join(capsys.readouterr()).split())
    assert "volume_000.tif: states voxels of 0.8 x 0.3 x 0.3 µm (z, y, x) (2 such vol" in said
    assert "in other proportions than --spacing 3 1 1.5 (z, y, x), which is taken" in said
    assert np.array(spec.pitch) / spec.pitch[0] == pytest.approx(
        [1, 1 / 1.5, 2 * spec.zoom], rel=1e-4
    )


def test_spacings_that_differ_or_are_not_said(tmp_path, capsys) -> None:
    other = tmp_path / "other"
    write_volumes(other, 2, 1, 0, shape=(14, 40, 44), spacing=SPACING)
    path = other / "train" / "images" / "volume_001.tif"
    tifffile.imwrite(
        path, tifffile.imread(path), imagej=True, resolution=(1 / 0.3, 1 / 0.3),
        metadata={"axes": "ZYX", "spacing": 0.3, "unit": "um"},
    )  # fmt: skip
    asked = [
        "--config",
        "volumes",
        "--out",
        tmp_path / "run",
        "--steps",
        "1",
        "--batch",
        "2",
        *TINY,
    ]
    said = errors_of(capsys, "train", other, *asked)
    assert "volume_001.tif has voxels of 0.3 x 0.3 x 0.3" in said
    assert "--spacing" in said
    tifffile.imwrite(
        path, tifffile.imread(path), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    assert main([str(one) for one in ("train", other, *asked)]) == 0
    heard = capsys.readouterr()
    assert "volume_001.tif does not say how far" in heard.out + heard.err
    assert load_model(tmp_path / "run")[1].spacing == pytest.approx(SPACING)


def test_training_volumes_of_other_sizes_are_told_of(tmp_path) -> None:
    write_volumes(tmp_path, 2, 1, 0, shape=(14, 40, 44), spacing=SPACING)
    path = tmp_path / "train" / "images" / "volume_001.tif"
    z, y, x = (2 * step for step in SPACING)
    said = {"axes": "ZYX", "spacing": z, "unit": "um"}
    pixels = tifffile.imread(path)
    tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / x, 1 / y), metadata=said)
    config = TrainConfig(data=tmp_path, out=tmp_path / "run")
    train, val = (scan_data(tmp_path, split) for split in ("train", "val"))
    spacing, [told] = spacing_of(config, train, val, None)
    assert spacing == pytest.approx(SPACING)
    assert told.warning
    assert "has voxels of 1.6 x 0.6 x 0.6 µm (z, y, x), " in told.message


def test_validation_volumes_of_other_proportions_are_told_of(tmp_path) -> None:
    write_volumes(tmp_path, 2, 1, 0, shape=(14, 40, 44), spacing=SPACING)
    path = tmp_path / "val" / "images" / "volume_000.tif"
    said = {"axes": "ZYX", "spacing": SPACING[0], "unit": "um"}
    tifffile.imwrite(path, tifffile.imread(path), imagej=True, resolution=(9, 9), metadata=said)
    config = TrainConfig(data=tmp_path, out=tmp_path / "run")
    train, val = (scan_data(tmp_path, split) for split in ("train", "val"))
    spacing, [told] = spacing_of(config, train, val, None)
    assert spacing == pytest.approx(SPACING)
    assert (told.file, told.warning) == (path, True)
    assert spacing_of(config, train, train, None)[1] == []

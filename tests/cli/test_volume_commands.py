"""Commands on volumes: an OME-Zarr is predicted, and what is of images alone says so."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import tifffile
import torch

from spatialembed.cli.main import main
from spatialembed.demo.volumes import draw_volume, write_volumes
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

SHAPE = (12, 32, 36)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An untrained model of volumes."""
    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet",
        {"widths": (4, 4), "blocks": (1, 1)},
        n_sigma=3,
        in_channels=1,
        dims=3,
        pitch=(1 / 64,) * 3,
    )
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, spec.build(), spec)
    return path


@pytest.fixture
def big(tmp_path) -> Path:
    """An OME-Zarr volume."""
    zarr = pytest.importorskip("zarr")
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    group = zarr.open_group(tmp_path / "big.zarr", mode="w", zarr_format=2)
    said = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.attrs.update({"multiscales": [said]})
    group.create_array("0", data=draw_volume(0, SHAPE)[0], chunks=SHAPE)
    return tmp_path / "big.zarr"


def refused(capsys, *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_an_ome_zarr_volume_is_predicted(model, big, tmp_path) -> None:
    assert main(["predict", str(model), str(big), f"--out={tmp_path / 'found'}"]) == 0
    assert tifffile.imread(tmp_path / "found" / "big.tif").shape == SHAPE


def test_labels_past_memory_are_of_images_alone(model, big, tmp_path, capsys) -> None:
    out = tmp_path / "labels.zarr"
    assert "predicted within memory" in refused(capsys, "predict", model, big, "--out", out)
    assert not out.exists()


def test_the_page_is_of_images_alone(model, capsys) -> None:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    assert "the page does not show" in refused(capsys, "serve", model, "--port", port)


def test_crops_of_volumes_are_not_stored(tmp_path, capsys) -> None:
    write_volumes(tmp_path / "data", 1, 1, 0, shape=SHAPE)
    said = refused(capsys, "crops", tmp_path / "data", tmp_path / "crops")
    assert "of images alone" in said
    assert not (tmp_path / "crops").exists()

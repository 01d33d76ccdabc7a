"""Labels of an image of any size keep the size of its pixels, and it is shown by it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

zarr = pytest.importorskip("zarr")
pytest.importorskip("distributed")

SETTINGS = ["--seed_threshold", "0", "--foreground_threshold", "0.2", "--min_size", "1"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """That knows no pixel size."""
    options = {"widths": [4, 8], "blocks": [1, 1]}
    spec = ModelSpec("residual_unet", options, in_channels=1, object_diameter=10.0)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "plain.safetensors"
    save_model(path, spec.build(), spec)
    return path


def pyramid(path: Path, size: float | None) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 260), np.uint8)
    said = {"axes": "YX"} | ({} if size is None else {f"PhysicalSize{k}": size for k in "XY"})
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(pixels, subifds=1, tile=(64, 64), compression="zlib", metadata=said)
        file.write(pixels[::2, ::2].copy(), subfiletype=1, tile=(64, 64), compression="zlib")
    return path


def scales(labels: Path) -> list[float]:
    [told] = zarr.open_group(labels, mode="r").attrs["ome"]["multiscales"]
    assert [axis.get("unit") for axis in told["axes"]] == ["micrometer"] * 2
    return [level["coordinateTransformations"][0]["scale"][0] for level in told["datasets"]]


def test_a_pyramid_keeps_its_pixel_size_in_labels(model, there, tmp_path) -> None:
    who = ["--scheduler", there.scheduler]
    path, out = pyramid(tmp_path / "a.ome.tif", 0.25), tmp_path / "a.zarr"
    assert main(["predict", str(model), str(path), "--out", str(out), *who]) == 0
    assert scales(out)[:3] == [0.25, 0.5, 1.0]
    assert pixel_size(out) == (0.25, 0.25)
    path, out = pyramid(tmp_path / "b.ome.tif", None), tmp_path / "b.zarr"
    asked = ["predict", str(model), str(path), "--out", str(out), *who]
    assert main([*asked, "--pixel_size", "0.5"]) == 0
    assert scales(out)[:2] == [0.5, 1.0]


def test_it_is_shown_as_large_as_images_of_training(model, there, tmp_path, capsys) -> None:
    network, spec = se.models.checkpoint.load_model(model)
    known, path = tmp_path / "known.safetensors", pyramid(tmp_path / "a.ome.tif", 0.25)
    save_model(known, network, replace(spec, pixel_size=0.5))
    out = tmp_path / "labels.zarr"
    asked = ["predict", str(known), str(path), "--out", str(out), *SETTINGS]
    assert main([*asked, "--scheduler", there.scheduler]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 image was shown to the model at 0.5 times the size, by the pixel size" in said
    whole = se.load(known).predict(path, 0.0, 0.2, 1).label_map
    assert whole.max() > 5
    found = zarr.open_group(out, mode="r")["0"][:]
    np.testing.assert_array_equal(found > 0, whole > 0)
    far = pyramid(tmp_path / "far.ome.tif", 8.0)
    asked = ["predict", str(known), str(far), "--out", str(tmp_path / "far.zarr")]
    assert main(asked) == 1
    assert "far.ome.tif has pixels of 8 µm" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "far.zarr").exists()

"""The command predict: which images it takes, what it says of them."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_cli import errors_of

from spatialembed.cli.main import main
from spatialembed.large import ModelSource


def test_predict(run, data, tmp_path, capsys) -> None:
    images, out = data / "test" / "images", tmp_path / "found"
    assert main(["predict", str(run), str(images), "--out", str(out), "--format", "coco"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"0.tif", "0_overlay.png", "coco_results.json"} <= names
    assert main(["predict", str(run), str(images), "--out", str(out), "--no_overlay"]) == 0
    assert "3 kept" in capsys.readouterr().out
    again = ["--out", str(out), "--no_overlay", "--overwrite"]
    assert main(["predict", str(run), str(images), *again]) == 0
    assert "kept" not in capsys.readouterr().out


def test_inverted_results_are_not_mixed_with_others(run, data, tmp_path, capsys) -> None:
    given = ["predict", str(run), str(data / "test" / "images"), "--out", str(tmp_path / "found")]
    assert main([*given, "--invert"]) == 0
    assert json.loads((tmp_path / "found" / "settings.json").read_text())["invert"] is True
    capsys.readouterr()
    assert "were made with invert True (now None)" in errors_of(capsys, *given)
    assert ModelSource(str(run), invert=True).load().invert


def test_predict_names_failures_at_the_end(run, data, tmp_path, capsys) -> None:
    (data / "test" / "images" / "1.png").write_bytes(b"broken")
    files = [str(data / "test" / "images" / f"{i}.png") for i in range(3)]
    out = tmp_path / "found"
    assert main(["predict", str(run), *files, "--out", str(out)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "1.png cannot be read" in said[-1]
    assert "nothing was found in any file" in said[-2]
    assert sorted(path.name for path in out.glob("*.tif")) == ["0.tif", "2.tif"]


def test_predict_of_one_image_of_several(run, data, tmp_path, capsys) -> None:
    with Image.open(next((data / "test" / "images").iterdir())) as image:
        pixels = np.asarray(image)
    path, out = tmp_path / "well.tif", tmp_path / "found"
    with tifffile.TiffWriter(path) as file:
        for plane in (pixels, pixels[::-1]):
            file.write(plane)
    said = errors_of(capsys, "predict", run, path, "--out", out)
    assert "well.tif is a stack of 2 planes" in said
    assert main(["predict", str(run), str(path), "--out", str(out), "--series", "1"]) == 0
    assert "which are left out: series 0" in capsys.readouterr().err
    assert (out / "well.tif").is_file()


def test_predict_of_a_level_and_a_channel(run, data, tmp_path, capsys) -> None:
    with Image.open(next((data / "test" / "images").iterdir())) as image:
        pixels = np.asarray(image)
    path, out = tmp_path / "slide.svs", tmp_path / "found"
    planes = np.stack([0 * pixels, pixels])
    given = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}
    with tifffile.TiffWriter(path) as file:
        file.write(planes.repeat(2, 1).repeat(2, 2), subifds=1, **given)
        file.write(planes, subfiletype=1, **given)
    said = errors_of(capsys, "predict", run, path, "--out", out)
    assert "slide.svs has 2: name those that it learned from with `predict --channel`" in said
    asked = ["predict", str(run), str(path), "--level", "1", "--channel", "1"]
    assert main([*asked, "--out", str(out)]) == 0
    assert tifffile.imread(out / "slide.tif").shape == pixels.shape
    capsys.readouterr()
    assert main([*asked, "--out", str(out)]) == 0
    assert "1 kept" in capsys.readouterr().out
    said = errors_of(capsys, *asked[:-1], "0", "--out", out)
    assert "were made with channel [1] (now [0])" in said
    said = errors_of(capsys, *asked[:4], "2", "--channel", "1", "--out", tmp_path / "other")
    assert "no level 2" in said


def test_predict_of_wrong_channels(run, tmp_path, capsys) -> None:
    path = tmp_path / "color.png"
    Image.new("RGB", (32, 24), (1, 2, 3)).save(path)
    said = errors_of(capsys, "predict", run, path, "--out", tmp_path / "found")
    assert "color.png is in color" in said
    assert "cells" in said


def test_large_images_go_by_themselves(run, data, tmp_path, capsys) -> None:
    out, image = tmp_path / "labels.zarr", data / "test" / "images" / "0.png"
    said = errors_of(capsys, "predict", run, image, image, "--out", out)
    assert "one image" in said
    said = errors_of(capsys, "predict", run, image, "--out", out, "--format", "coco")
    assert "leave --format" in said
    assert "give --out a folder" in errors_of(capsys, "predict", run, image.parent, "--out", out)
    said = errors_of(capsys, "predict", run, image, "--out", out)
    assert "0.png cannot be read in parts; predict it into a folder" in said
    large = tmp_path / "large.zarr"
    large.mkdir()
    assert "ending in .zarr" in errors_of(capsys, "predict", run, large, "--out", tmp_path / "out")
    assert "does not exist" in errors_of(capsys, "predict", run, tmp_path / "b.zarr", "--out", out)
    assert not out.exists()
    assert not (tmp_path / "labels.zarr.part").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--seed_threshold", "2", "seed threshold lies between 0 and 1"),
        ("--foreground_threshold", "-0.5", "foreground threshold lies between 0 and 1"),
        ("--min_size", "-1", "number of pixels"),
    ],
)
def test_settings_out_of_range_are_refused(run, data, tmp_path, capsys, option, value, message):
    image = data / "test" / "images" / "0.png"
    arguments = ["predict", str(run), str(image), "--out", str(tmp_path / "found"), option, value]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_options_are_written_with_hyphens_too(run, data, tmp_path) -> None:
    out = tmp_path / "found"
    options = ["--seed-threshold", "0.99", "--min-size=7", "--no-overlay"]
    assert main(["predict", str(run), str(data / "test"), "--out", str(out), *options]) == 0
    (settings,) = {
        path.read_text() for path in out.rglob("*.json") if "min_size" in path.read_text()
    }
    assert '"min_size": 7' in settings
    assert not list(out.rglob("*.png"))

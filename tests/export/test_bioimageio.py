"""Packages of bioimage.io pass its own test without a network, and are what QuPath reads."""

import json
import os
import subprocess
import sys
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import yaml

import spatialembed
from spatialembed.cli.main import main
from spatialembed.models import build
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

pytest.importorskip("bioimageio.core", reason="needs pip install 'spatialembed[bioimageio]'")

OPTIONS = {"widths": [8, 16], "blocks": [1, 1]}
NAMED = ["--authors", "A. Name, B. Name", "--licence", "CC-BY-4.0"]


def saved(folder, **changed):
    torch.manual_seed(0)
    values = {"class_names": ("cell",), "seed_threshold": 0.5, "min_size": 3} | changed
    spec = ModelSpec("residual_unet", OPTIONS, **values)
    module = build("residual_unet", spec.in_channels, 1, 1, **OPTIONS)
    torch.nn.init.normal_(module.seed_head.output_conv.weight, 0, 1)
    save_model(folder / "model.safetensors", module, spec)
    return folder / "model.safetensors"


def described(package) -> dict:
    with ZipFile(package) as file:
        return yaml.safe_load(file.read("rdf.yaml"))


@pytest.mark.parametrize(
    "normalization",
    [
        Normalization("percentile"),
        Normalization("range", white=255),
        Normalization("mean-std", mean=(99, 9), std=(70, 50)),
        Normalization("none"),
    ],
)
def test_test_of_bioimageio_passes_offline(tmp_path, normalization) -> None:
    file, package = (
        saved(tmp_path, in_channels=2, normalization=normalization),
        tmp_path / "cells.zip",
    )
    assert main(["export", str(file), str(package), "--pixel_size", "0.25", *NAMED]) == 0
    code = """
import socket, sys

def refuse(*_, **__):
    raise OSError("no network in this test")

socket.socket.connect = socket.getaddrinfo = refuse
from bioimageio.core import test_model

summary = test_model(sys.argv[1])
print(summary.status, [e.msg for d in summary.details for e in d.errors])
"""
    environment = os.environ | {"BIOIMAGEIO_CACHE_PATH": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(package)],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.stdout.strip().splitlines()[-1] == "passed []"


def test_package_says_what_qupath_asks_for(tmp_path) -> None:
    """What InstanSegModel.java and qupath-bioimageio-spec read, and of which type."""
    package = tmp_path / "dishes.zip"
    file = saved(tmp_path, trained_on="cells of our dishes", object_diameter=20.0)
    assert main(["export", str(file), str(package), "--pixel_size", "0.25", *NAMED]) == 0
    said = described(package)
    assert said["name"] == "dishes"
    assert said["format_version"] == "0.5.10"
    assert said["documentation"] == "dishes_README.md"
    assert said["covers"] == ["cover.png"]
    assert said["authors"] == [{"name": "A. Name"}, {"name": "B. Name"}]
    assert said["license"] == "CC-BY-4.0"
    assert said["training_data"]["description"] == "cells of our dishes"
    axes = {axis["type"]: axis for axis in said["outputs"][0]["axes"]}
    assert len(axes["channel"]["channel_names"]) == 1
    assert {axis.get("scale") for axis in said["outputs"][0]["axes"]} == {None, 0.25}
    with ZipFile(package) as files:
        assert {"instanseg.pt", "rdf.yaml", "dishes_README.md"} < set(files.namelist())
        assert all("/" not in name for name in files.namelist())
        text = files.read("dishes_README.md").decode()
        (tmp_path / "instanseg.pt").write_bytes(files.read("instanseg.pt"))
        (tmp_path / "test-input.npy").write_bytes(files.read("test-input.npy"))
        (tmp_path / "test-output.npy").write_bytes(files.read("test-output.npy"))
    assert "cells of our dishes" in text
    image, labels = (np.load(tmp_path / f"test-{name}.npy") for name in ("input", "output"))
    found = spatialembed.load(file, "cpu").predict(np.moveaxis(image[0], 0, -1).astype(np.uint8))
    np.testing.assert_array_equal(labels[0, 0], found.label_map)
    json.dumps(said)  # of plain types


def test_what_a_package_lacks_is_asked_for(tmp_path, capsys) -> None:
    def refused(*options: str) -> str:
        assert main(["export", str(file), str(tmp_path / "cells.zip"), *options]) == 1
        assert not (tmp_path / "cells.zip").exists()
        return " ".join(capsys.readouterr().err.split())

    file = saved(tmp_path, licence="ours alone")
    assert "add --authors" in refused()
    assert "'ours alone' is no such; add --licence" in refused("--authors", "A. Name")


def test_no_pixel_size_is_warned_of(tmp_path, capsys) -> None:
    file = saved(tmp_path, licence="MIT")
    assert main(["export", str(file), str(tmp_path / "cells.zip"), "--authors", "A"]) == 0
    assert "it says no pixel size" in capsys.readouterr().err
    assert "scale" not in described(tmp_path / "cells.zip")["outputs"][0]["axes"][2]

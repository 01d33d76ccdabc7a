"""TorchScript finds what the library finds, to the last pixel, without it and without numba."""

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch

import spatialembed
from spatialembed.cli.main import main
from spatialembed.clustering import cluster
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.errors import UserError
from spatialembed.export.script import clustering, normalizing, refining, resizing
from spatialembed.export.torchscript import NOTES_FILE, torchscript
from spatialembed.inference.resizing import resized, sampled
from spatialembed.inference.zoom import Part
from spatialembed.kernels.foreground import take_foreground
from spatialembed.models import build
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.normalization import sampled as judged
from spatialembed.models.spec import ModelSpec
from spatialembed.refinement import refine_foreground

OPTIONS = {"widths": [8, 16], "blocks": [1, 1], "fine": 8}


def scene(
    seed: int, shape: tuple[int, int] = (96, 120), n_sigma: int = 2, n_classes: int = 1
) -> np.ndarray:
    """Raw output of discs that point to their centers, some of them with equal scores."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape).astype(float)
    offset, radius = rng.normal(0, 4, grid.shape), rng.uniform(3, 8)
    margin = np.maximum(rng.normal(radius, radius / 3, (n_sigma, *shape)), 0.5)
    logits = rng.normal(-4, 1.5, (n_classes, *shape))
    for _ in range(int(rng.integers(1, 80))):
        center, size = rng.uniform(0, shape), radius * rng.uniform(0.5, 1.5)
        distance = np.hypot(*(grid - center[:, None, None]))
        inside = distance < size
        offset[:, inside] = (center[:, None] - grid[:, inside]) + rng.normal(
            0, 1, (2, inside.sum())
        )
        for k in rng.integers(n_classes, size=2):  # often of two classes
            logits[k, inside] = 5 - 4 * distance[inside] / size + rng.normal(0, 0.7, inside.sum())
    logits = np.round(logits * 4) / 4 if seed % 2 else logits
    sigma = np.log(np.log(2) / (margin * PITCH) ** 2) / 10
    offset = np.arctanh(np.clip(offset[::-1] * PITCH, -0.99, 0.99))
    return np.concatenate([offset, sigma, logits]).astype(np.float32)


def found_by_script(
    output: np.ndarray, n_sigma: int, seed: float, min_size: int, refines: bool, margin=None
) -> np.ndarray:
    shape, sigma = output.shape[1:], margin and float(np.float32(margin_to_sigma(margin, PITCH)))
    shown = clustering.foreground_of(
        torch.from_numpy(output), n_sigma, 0.5, (PITCH, PITCH), sigma or float("nan")
    )
    label, classes = clustering.clustered(
        shown, shape[0] * shape[1], float(np.float32(seed)), min_size
    )
    label = refining.refined(label, classes, shown, min_size) if refines and classes else label
    return label.reshape(shape).numpy()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("refines", [False, True])
def test_clusters_as_the_library(seed, refines):
    n_sigma, n_classes, min_size = 1 + seed % 2, 1 + seed % 3, 1 + 4 * (seed % 5)
    output = scene(seed, n_sigma=n_sigma, n_classes=n_classes)
    output[:, 5, 5:9] = np.nan
    shown = take_foreground(output, n_sigma, 0.5, PITCH, None)
    found = cluster(output, n_sigma, 0.9, 0.5, min_size)
    found = refine_foreground(found, shown, min_size) if refines else found
    assert len(found) > 0
    by_script = found_by_script(output, n_sigma, 0.9, min_size, refines)
    np.testing.assert_array_equal(by_script, found.label_map)


def test_a_fixed_margin_and_nothing_to_find():
    output = scene(3, n_sigma=1)
    found = cluster(output, 1, 0.7, 0.5, 5, margin=4)
    assert len(found) > 0
    by_script = found_by_script(output, 1, 0.7, 5, False, margin=4)
    np.testing.assert_array_equal(by_script, found.label_map)
    output[3] = -9
    assert found_by_script(output, 1, 0.7, 5, True).max() == 0


@pytest.mark.parametrize("shape", [(40, 61), (1, 7), (33, 33)])
@pytest.mark.parametrize("zoom", [1.0, 1.7, 0.5, 0.31])
def test_resizes_as_the_library(shape, zoom):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    to = Part.whole(shape).enlarged(zoom)
    lines = [resizing.lines_of(side, zoom) for side in shape]
    assert tuple(lines) == to.shape
    seen = resizing.resized(torch.from_numpy(image), *lines)
    np.testing.assert_array_equal(seen.numpy(), resized(image, to))
    back = resizing.sampled(seen, *shape).numpy()
    np.testing.assert_array_equal(back, sampled(resized(image, to), to))


def test_halves_of_a_line_round_as_python_does():
    assert [resizing.lines_of(side, 0.5) for side in range(1, 12)] == [
        max(1, round(side * 0.5)) for side in range(1, 12)
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_normalizes_as_the_library(dtype):
    rng = np.random.default_rng(0)
    pixels = (rng.gamma(2, 20, (50, 70, 3))).astype(dtype)
    pixels[..., 2] = 7  # constant
    if dtype == np.float32:
        pixels[3, 4] = np.nan
    by_script = normalizing.by_percentiles(
        torch.from_numpy(np.moveaxis(pixels.astype(np.float32), -1, 0)), 1, 99.8
    )
    expected = Normalization("percentile")(pixels)
    np.testing.assert_array_equal(np.moveaxis(by_script.numpy(), 0, -1), expected)


def test_percentiles_of_a_long_side_are_those_of_its_parts():
    lines = np.concatenate([np.arange(5000)[rows] for rows, _ in judged((5000, 10))])
    np.testing.assert_array_equal(normalizing.looked_at(5000).numpy(), lines)


def saved(folder: Path, **changed) -> Path:
    """A model file past its first steps, which finds something in noise."""
    values = {
        "network_options": OPTIONS, "in_channels": 1, "class_names": ("a", "b"), "n_sigma": 2,
        "normalization": Normalization("percentile"), "min_size": 5, "seed_threshold": 0.6,
        "refine": True, "object_diameter": 12.0,
    }  # fmt: skip
    spec = ModelSpec("residual_unet", **(values | changed))
    torch.manual_seed(0)
    module = build("residual_unet", spec.in_channels, spec.n_sigma, 2, spec.dims, **OPTIONS)
    for head, size in ((module.embedding_head, 0.1), (module.seed_head, 1)):
        torch.nn.init.normal_(head.output_conv.weight, 0, size)
    torch.nn.init.constant_(module.embedding_head.output_conv.bias[2:], margin_to_sigma(6) - 0.2)
    save_model(folder / "model.safetensors", module, spec)
    return folder / "model.safetensors"


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


@pytest.mark.parametrize(
    ("changed", "diameter"),
    [
        ({}, None),
        ({"zoom": 1.5, "n_sigma": 1}, 20),
        ({"in_channels": 3, "normalization": Normalization("range", white=255)}, None),
        (
            {
                "in_channels": 2,
                "normalization": Normalization("mean-std", mean=[120, 130], std=[70, 80]),
            },
            None,
        ),
        ({"margin": 5.0, "n_sigma": 1, "refine": False, "zoom": 0.7}, None),
        ({"in_channels": 3, "takes_grey": True, "finds_size": True}, 12),
    ],
)
def test_file_finds_what_the_model_finds(tmp_path, changed, diameter):
    file = saved(tmp_path, **changed)
    size = [] if diameter is None else ["--diameter", str(diameter)]
    assert main(["export", str(file), str(tmp_path / "x.pt"), *size, "--pixel_size", "0.5"]) == 0
    notes = {NOTES_FILE: ""}
    module = torch.jit.load(tmp_path / "x.pt", _extra_files=notes)
    model = spatialembed.load(file, "cpu", diameter=diameter)
    channels = 1 if changed.get("takes_grey") else model.spec.in_channels
    for shape in ((61, 90), (63, 64)):
        pixels = noise(*shape, channels)
        planes = torch.from_numpy(np.moveaxis(pixels, -1, 0)[None].astype(np.float32))
        labels = module(module.normalized(planes))
        assert labels.shape == (1, 1, *shape)
        assert labels.dtype == torch.float32
        expected = model.predict(pixels)
        assert len(expected) > 0
        np.testing.assert_array_equal(labels[0, 0].numpy(), expected.label_map)
    said = json.loads(notes[NOTES_FILE])
    assert said["micrometers_per_pixel"] == 0.5
    assert said["object_diameter"] == pytest.approx(diameter or 12)


def test_a_pixel_size_that_the_model_knows_is_noted_and_gone_by(tmp_path):
    file = saved(tmp_path, object_diameter=12.0, pixel_size=0.5)
    notes = torchscript(file)[2]
    assert (notes["micrometers_per_pixel"], notes["object_diameter"]) == (0.5, 12)
    notes = torchscript(file, pixel_size=0.25)[2]
    assert (notes["micrometers_per_pixel"], notes["object_diameter"]) == (0.25, 24)
    assert notes["zoom"] == pytest.approx(0.5 * notes["spec"]["zoom"])
    assert torchscript(file, diameter=6.0)[2]["micrometers_per_pixel"] == 1.0
    with pytest.raises(UserError, match="the kind of images to come has pixels of 5 µm"):
        torchscript(file, pixel_size=5.0)


def test_a_file_says_nothing_of_the_machine_that_made_it(tmp_path):
    assert main(["export", str(saved(tmp_path)), str(tmp_path / "x.pt")]) == 0
    with ZipFile(tmp_path / "x.pt") as file:
        parts = {part.filename: file.read(part) for part in file.infolist()}
    own = [Path(module.__file__).parent for module in (torch, spatialembed, np)]
    for path in (b"site-packages", *(str(folder).encode() for folder in (*own, Path.cwd()))):
        assert path not in (tmp_path / "x.pt").read_bytes()
        assert [name for name, content in parts.items() if path in content] == []


def test_runs_without_the_library_as_the_extension_of_qupath_calls_it(tmp_path):
    """Tiles, each scaled by percentiles of the whole, clipped, float32 (1, C, H, W)."""
    file = saved(tmp_path, in_channels=3)
    assert main(["export", str(file), str(tmp_path / "instanseg.pt")]) == 0
    np.save(tmp_path / "image.npy", noise(128, 160, 3))
    code = """
import sys
import numpy as np, torch
module = torch.jit.load("instanseg.pt", map_location="cpu")
image = np.moveaxis(np.load("image.npy").astype(np.float32), -1, 0)
low, high = np.percentile(image, (0.1, 99.9), axis=(1, 2), keepdims=True)
image = np.clip((image - low) / (high - low + 1e-6), -0.5, 1.5).astype(np.float32)
found = 0
for y in (0, 64):
    for x in (0, 80):
        with torch.no_grad():
            labels = module(torch.from_numpy(image[None, :, y : y + 64, x : x + 80]))
        assert labels.shape == (1, 1, 64, 80) and labels.dtype == torch.float32
        whole = labels.to(torch.int32)
        assert (whole == labels).all() and whole.min() == 0
        assert len(whole.unique()) == whole.max() + 1
        found += int(whole.max())
assert found > 0
assert not {"numba", "spatialembed"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["x.pt", "--precision", "int8"], "--precision is for .onnx files"),
        (["x.pt", "--authors", "A"], "--authors is for .zip files"),
        (["x.onnx", "--pixel_size", "0.5"], "--pixel_size is for .pt and .zip files"),
        (["x.pt", "--pixel_size", "0"], "--pixel_size is a number of micrometres above 0"),
        (["x.pt", "--diameter", "-1"], "the diameter of objects"),
        (["x.bin"], "does not end in .onnx, .pt or .zip"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, options, said):
    file = saved(tmp_path)
    name, *more = options
    assert main(["export", str(file), str(tmp_path / name), *more]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / name).exists()


def test_volumes_are_refused(tmp_path):
    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet", {"widths": [8, 16], "blocks": [1, 1]}, 1, dims=3, pitch=(PITCH,) * 3
    )
    save_model(tmp_path / "v.safetensors", spec.build(), spec)
    with pytest.raises(UserError, match="is of volumes; TorchScript is of images"):
        torchscript(tmp_path / "v.safetensors")

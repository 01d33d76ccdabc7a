"""Results of volumes state their spacing, and what volumes do not have is refused in a sentence."""

import csv
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from test_predictor import bright
from torch import nn

from spatialembed.cli.main import main
from spatialembed.data.images.reading import read_stack, stack_spacing
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.errors import ImageWarning, UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import Outcome, predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import cautions
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

SPACING = (0.5, 0.2, 0.25)
RGB, GREY = {"photometric": "rgb"}, {"photometric": "minisblack"}

SPEC = ModelSpec(
    "residual_unet",
    {"widths": [4, 4], "blocks": [1, 1]},
    in_channels=1,
    dims=3,
    pitch=(PITCH, PITCH, 2 * PITCH),
    spacing=(0.5, 0.2, 0.25),
    min_size=5,
    normalization=Normalization("range"),
)


class Bright(nn.Module):
    """Says "object" where a volume is above 0.5, with a margin of 9 pixels."""

    stride, depth_stride = 8, 8

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros_like(volume)
        sigma = zero + margin_to_sigma(9)
        return torch.cat([zero, zero, zero, sigma, self.gain * (volume - 0.5)], dim=1)


def blocks() -> np.ndarray:
    voxels = np.zeros((8, 40, 48), np.uint8)
    voxels[1:4, 3:8, 4:10] = 255
    voxels[5:7, 20:26, 36:40] = 255
    return voxels


def written(path: Path, spacing: tuple[float, float, float] | None) -> Path:
    if spacing is None:
        tifffile.imwrite(path, blocks(), metadata={"axes": "ZYX"})
        return path
    z, y, x = spacing
    said = {"axes": "ZYX", "spacing": z, "unit": "um"}
    tifffile.imwrite(path, blocks(), imagej=True, resolution=(1 / x, 1 / y), metadata=said)
    return path


def predicted(file: Path, results: Results, spec: ModelSpec = SPEC) -> Outcome:
    model = Model(TorchNetwork(Bright()), spec)
    [outcome] = predict_files(model, find_images([file], results.out), results)
    return outcome


def test_results_state_the_spacing_of_the_file(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    results = Results(tmp_path / "out", ["measurements"])
    outcome = predicted(written(tmp_path / "a.tif", SPACING), results)
    assert (outcome.found, outcome.error, outcome.notes) == (2, None, ())
    labels = tmp_path / "out" / "a.tif"
    assert stack_spacing(labels) == pytest.approx(SPACING, rel=1e-5)
    np.testing.assert_array_equal(read_stack(labels)[..., 0] > 0, blocks() > 0)
    with (tmp_path / "out" / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(float(row["volume_um3"]) for row in rows) == pytest.approx([1.2, 2.25])
    assert [row["mean_0"] for row in rows] == ["255.0", "255.0"]


def test_a_file_that_states_none_gives_labels_without(tmp_path: Path) -> None:
    assert predicted(written(tmp_path / "a.tif", None), Results(tmp_path / "out")).found == 2
    assert stack_spacing(tmp_path / "out" / "a.tif") is None


def test_a_volume_without_spacing_is_told_of_where_training_knew_its_own(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tif", None)
    for stated in (True, False):  # what --spacing gave may be in proportion
        spec = replace(SPEC, object_diameter=6.0, training={"spacing_stated": stated})
        outcome = predicted(file, Results(tmp_path / f"{stated}"), spec)
        told = " ".join(cautions([outcome], Model(TorchNetwork(Bright()), spec)))
        assert ("a.tif does not state how far its voxels lie apart" in told) == stated
    known = written(tmp_path / "b.tif", SPACING)
    outcome = predicted(known, Results(tmp_path / "known"), spec)
    assert "does not state" not in " ".join(
        cautions([outcome], Model(TorchNetwork(Bright()), spec))
    )


def test_voxels_of_other_proportions_than_in_training_are_noted(tmp_path: Path) -> None:
    outcome = predicted(written(tmp_path / "a.tif", (1.0, 0.2, 0.25)), Results(tmp_path / "out"))
    [note] = outcome.notes
    assert "those of training 0.5 x 0.2 x 0.25 µm (z, y, x)" in note
    assert "resample it to such proportions" in note


def note(spacing, trained, diameter=None, stated: bool = True) -> str:
    """What is said of a volume's voxels, to a model of objects 20 pixels wide."""
    training = {"spacing_stated": stated} if trained else {}
    spec = replace(SPEC, spacing=trained, object_diameter=20.0, training=training)
    return " ".join(other_voxels(spacing, Model(TorchNetwork(Bright()), spec, diameter=diameter)))


def test_voxels_of_other_sizes_are_noted_with_what_to_do() -> None:
    assert note(None, SPACING) == note(SPACING, None) == note(SPACING, SPACING) == ""
    assert note((1.09, 1.0, 1.0), (1.0, 1.0, 1.0)) == ""
    assert "flatter or longer" in note((1.0, 1.0, 1.0), (1.12, 1.0, 1.0))
    # Larger on all axes: no diameter mends that, which is of planes.
    assert "look 0.02 times as large in it" in note((10.0, 5.0, 5.0), (0.2, 0.1, 0.1))
    assert note((10.0, 5.0, 5.0), (2.0, 1.0, 1.0), stated=False) == ""  # may be in proportion
    # Finer in the planes alone: a diameter shows them as those of training were.
    said = note((0.4, 0.1, 0.1), (0.4, 0.2, 0.2))
    assert "say --diameter 40, by which" in said
    assert note((0.4, 0.1, 0.1), (0.4, 0.2, 0.2), diameter=40.0) == ""
    assert "resample it" in note((0.4, 0.1, 0.1), (0.4, 0.2, 0.2), stated=False)
    assert "say --diameter 20," in note((0.4, 0.2, 0.2), (0.4, 0.2, 0.2), diameter=10.0)


def test_python_is_told_of_other_voxels(tmp_path: Path) -> None:
    """As of x, y and z for z, y and x, which the command says in its notes."""
    spec = replace(SPEC, object_diameter=6.0, training={"spacing_stated": True})
    model = Model(TorchNetwork(Bright()), spec)
    with pytest.warns(ImageWarning, match="flatter or longer than the model knows them"):
        model.predict(blocks(), spacing=SPACING[::-1])
    file = written(tmp_path / "a.tif", SPACING[::-1])
    for predict in (model.predict, model.predict_targets):
        with pytest.warns(ImageWarning, match=r"a\.tif: its voxels are 0\.25 x 0\.2 x 0\.5"):
            predict(file)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ImageWarning)
            predict(file, spacing=SPACING)
            predict(blocks())
    [outcome] = predict_files(
        model, find_images([file], tmp_path / "out"), Results(tmp_path / "out")
    )
    assert len(outcome.notes) == 1


def test_an_image_is_none_of_a_model_of_volumes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", blocks()[1])
    outcome = predicted(tmp_path / "a.tif", Results(tmp_path / "out"))
    assert "a.tif is no stack of planes in z" in (outcome.error or "")
    assert "give an image to a model of images" in (outcome.error or "")


@pytest.mark.parametrize(
    ("shape", "options", "told"),
    [
        # tifffile's own choice of three planes: samples of one image in color.
        (
            (3, 40, 48),
            RGB | {"planarconfig": "separate"},
            "if its channels are planes in z, store it so (tifffile takes three or f",
        ),
        (
            (2, 40, 48),
            GREY | {"metadata": {"axes": "CYX"}},
            "if its channels are planes in z, store it",
        ),
        ((40, 48, 3), RGB, "a folder of their own, of one size and named such as z001.tif"),
        ((4, 40, 48), GREY | {"metadata": {"axes": "TYX"}}, "store times as separate files"),
        ((6, 2, 40, 48), {"metadata": {"axes": "ZCYX"}}, "train a model for such volumes"),
        (
            (6, 40, 48, 3),
            RGB | {"metadata": {"axes": "ZYXS"}},
            "train a model for such volumes",
        ),
    ],
)
def test_what_is_no_volume_of_the_model_says_what_to_do(tmp_path, shape, options, told) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    outcome = predicted(tmp_path / "a.tif", Results(tmp_path / "out"))
    assert told in (outcome.error or "")
    assert "convert the image" not in (outcome.error or "")


def test_every_format_of_volumes_is_written(tmp_path: Path) -> None:
    pytest.importorskip("roifile")
    formats = ["geojson", "imagej", "measurements", "meshes"]
    results = Results(tmp_path / "out", formats)
    assert predicted(written(tmp_path / "a.tif", SPACING), results).error is None
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {
        *("a.tif", "a_overlay.png", "a.geojson", "a_rois.zip", "a.csv", "a.obj", "settings.json")
    }
    planes = {f["geometry"]["plane"]["z"] for f in read_json(tmp_path / "out" / "a.geojson")}
    assert planes == {1, 2, 3, 5, 6}
    corners = [line for line in (tmp_path / "out" / "a.obj").read_text().splitlines()]
    assert max(float(line.split()[1]) for line in corners if line[0] == "v") == 39.5 * 0.25
    stitched = Results(tmp_path / "stitched", formats)
    file = find_images([tmp_path / "a.tif"], stitched.out)
    [outcome] = predict_files(bright(), file, stitched, stitch=True)
    assert (outcome.found, outcome.error) == (2, None)
    assert {path.name for path in (tmp_path / "stitched").iterdir()} == made


def read_json(path: Path) -> list[dict]:
    return json.loads(path.read_text())["features"]


@pytest.mark.parametrize("name", ["coco", "cityscapes"])
def test_formats_of_images_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"format {name} is of images.*measurements, meshes"):
        predicted(written(tmp_path / "a.tif", None), Results(tmp_path / "out", [name]))
    assert not (tmp_path / "out").exists()


def test_meshes_of_images_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    tifffile.imwrite(tmp_path / "a.tif", blocks()[1])
    results = Results(tmp_path / "out", ["meshes"])
    with pytest.raises(UserError, match="format meshes is of volumes; leave it out"):
        predict_files(bright(), find_images([tmp_path / "a.tif"], results.out), results)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "run" / "model.safetensors", SPEC.build(), SPEC)
    written(tmp_path / "a.tif", SPACING)
    for part in ("images", "masks"):
        (tmp_path / "data" / "train" / part).mkdir(parents=True)
        written(tmp_path / "data" / "train" / part / "a.tif", SPACING)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("predict RUN a.tif --out found --format coco", "format coco is of images"),
        ("predict RUN a.tif --out found --stitch", "leave --stitch out"),
        ("crops data out", "holds volumes, and crops of images alone are stored"),
        ("export nuclei x.onnx --precision int8 --data data", "data holds volumes"),
    ],
)
def test_what_takes_no_volumes_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, command, told
) -> None:
    monkeypatch.chdir(tmp_path)
    there = sorted(tmp_path.rglob("*.*"))
    assert main([str(run) if word == "RUN" else word for word in command.split()]) == 1
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.startswith("spatialembed: ")
    assert said.err.count("\n") == 1
    left = [path for path in sorted(tmp_path.rglob("*.*")) if path not in there]
    assert [path for path in left if not path.name.startswith(".spatialembed-")] == []


def test_zarr_volumes_are_predicted_into_a_folder(run: Path, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "b.zarr", mode="w")
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = {"type": "scale", "scale": list(SPACING)}
    levels = [{"path": "0", "coordinateTransformations": [scale]}]
    said = {"version": "0.4", "axes": axes, "datasets": levels}
    group.attrs.update({"multiscales": [said]})
    group.create_array("0", data=blocks(), chunks=(4, 20, 24))
    given = [str(tmp_path / "b.zarr"), "--out", str(tmp_path / "out")]
    assert main(["predict", str(run), *given]) == 0
    assert stack_spacing(tmp_path / "out" / "b.tif") == pytest.approx(SPACING, rel=1e-5)

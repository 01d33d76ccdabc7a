"""Results of volumes state their spacing, and what volumes do not have is refused in a sentence."""

import csv
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
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import Outcome, other_spacing, predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

SPACING = (0.5, 0.2, 0.25)

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


def test_voxels_of_other_proportions_than_in_training_are_noted(tmp_path: Path) -> None:
    outcome = predicted(written(tmp_path / "a.tif", (1.0, 0.2, 0.25)), Results(tmp_path / "out"))
    [note] = outcome.notes
    assert "those of training 0.5 x 0.2 x 0.25 µm (z, y, x)" in note
    assert other_spacing(None, SPACING) == other_spacing(SPACING, None) == []
    assert other_spacing((1.09, 1.0, 1.0), (1.0, 1.0, 1.0)) == []
    assert other_spacing((10.0, 5.0, 5.0), (0.2, 0.1, 0.1)) == []  # larger, not other voxels
    assert len(other_spacing((1.0, 1.0, 1.0), (1.12, 1.0, 1.0))) == 1


def test_an_image_is_none_of_a_model_of_volumes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", blocks()[1])
    outcome = predicted(tmp_path / "a.tif", Results(tmp_path / "out"))
    assert "a.tif is an image, and" in (outcome.error or "")
    assert "is of volumes: give it stacks" in (outcome.error or "")


def test_stacks_joined_of_planes_state_their_spacing_too(tmp_path: Path) -> None:
    results = Results(tmp_path / "out", ["measurements"])
    file = find_images([written(tmp_path / "a.tif", SPACING)], results.out)
    [outcome] = predict_files(bright(), file, results, stitch=True)
    assert (outcome.found, outcome.error) == (2, None)
    assert stack_spacing(tmp_path / "out" / "a.tif") == pytest.approx(SPACING, rel=1e-5)
    assert "volume_um3" in (tmp_path / "out" / "a.csv").read_text().partition("\n")[0]


@pytest.mark.parametrize("name", ["coco", "geojson", "imagej", "cityscapes"])
def test_formats_of_images_are_refused(tmp_path: Path, name: str) -> None:
    pytest.importorskip("roifile")
    with pytest.raises(UserError, match=f"format {name} is of images.*--format measurements"):
        predicted(written(tmp_path / "a.tif", None), Results(tmp_path / "out", [name]))
    assert not (tmp_path / "out").exists()


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
        ("predict RUN a.tif --out found.zarr", "give --out a folder"),
        ("predict RUN a.tif --out found --format coco", "format coco is of images"),
        ("predict RUN a.tif --out found --stitch", "leave --stitch out"),
        ("crops data out", "holds volumes, and crops of images alone are stored"),
        ("export nuclei x.onnx --precision int8 --data data", "data holds volumes"),
        ("check data/train/images --label_first 1", "--label_first chooses among images"),
        ("train data --init RUN --careful true --config volumes --steps 1", "careful training"),
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

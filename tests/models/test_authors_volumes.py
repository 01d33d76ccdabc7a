"""EmbedSeg's files of volumes, written from a network of ours under the names of files of images.

No file of the authors' own was at hand: this shows that what the package says of them is what it
does, not that theirs are so.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_authors import PERCENTILES, beside, write
from test_networks import shake
from torch import nn

from spatialembed.errors import UserError
from spatialembed.inference.loading import load
from spatialembed.models import build
from spatialembed.models.authors import load_authors_model

GRID = {"n_x": 101, "n_y": 51, "n_z": 21, "pixel_z": 0.5}


def network(channels: int = 1, n_sigma: int = 3, n_classes: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return shake(build("branched_erfnet", channels, n_sigma, n_classes, 3)).eval()


@pytest.mark.parametrize(("channels", "n_sigma", "n_classes"), [(1, 3, 1), (2, 1, 3)])
def test_a_file_gives_its_networks_output(tmp_path: Path, channels, n_sigma, n_classes) -> None:
    made = network(channels, n_sigma, n_classes)
    path = write(tmp_path / "best_iou_model.pth", made.state_dict())
    beside(tmp_path, {**GRID, "min_object_size": 36}, PERCENTILES)
    loaded, spec = load_authors_model(path)
    assert (spec.network, spec.dims, spec.in_channels) == ("branched_erfnet", 3, channels)
    assert (spec.n_sigma, len(spec.class_names), spec.min_size) == (n_sigma, n_classes, 36)
    assert spec.pitch == (1 / 100, 1 / 50, 0.5 / 20)
    assert (spec.normalization.low, spec.normalization.high) == (1, 99.8)
    volume = torch.rand(1, channels, 8, 16, 24)
    with torch.no_grad():
        assert torch.equal(loaded(volume), made(volume))


@pytest.mark.parametrize(
    ("properties", "pitch"),
    [
        ({"grid_x": 101, "grid_y": 51, "grid_z": 21, "pixel_z": 1}, (1 / 100, 1 / 50, 1 / 20)),
        ({**GRID, "pixel_x": 2, "pixel_y": 3}, (2 / 100, 3 / 50, 0.5 / 20)),
        ({**GRID, "grid_x": 1024}, (1 / 100, 1 / 50, 0.5 / 20)),
    ],
)
def test_steps_are_lengths_of_the_grid_over_its_sizes(tmp_path: Path, properties, pitch) -> None:
    beside(tmp_path, {"grid": properties}, PERCENTILES)
    assert load_authors_model(write(tmp_path / "m.pth", network().state_dict()))[1].pitch == pitch


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_z": None}, "no n_z: add the grid's size"),
        ({"n_z": 1}, "no n_z"),
        ({"pixel_z": None}, "no pixel_z: add the length"),
        ({"pixel_z": 0}, "no pixel_z"),
        ({"pixel_y": "short"}, "no pixel_y"),
        ({"pixel_z": float("nan")}, "no pixel_z"),
    ],
)
def test_says_what_the_grid_lacks(tmp_path: Path, changes, told) -> None:
    properties = {key: value for key, value in (GRID | changes).items() if value is not None}
    beside(tmp_path, properties, PERCENTILES)
    with pytest.raises(UserError, match=told) as error:
        load_authors_model(write(tmp_path / "m.pth", network().state_dict()))
    assert "\n" not in str(error.value)


def test_refuses_what_it_does_not_know_for_such_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "m.pth", network(n_sigma=1).state_dict())
    with pytest.raises(UserError, match=r"there is no data_properties\.json"):
        load_authors_model(path)
    beside(tmp_path, GRID, PERCENTILES)
    state = network().state_dict()
    other = {key.replace("conv3x1x1", "conv3x1"): value for key, value in state.items()}
    with pytest.raises(UserError, match=r"it lacks encoder\.layers\.1\.conv3x1x1_1\.weight"):
        load_authors_model(write(path, other))
    two = {**state, "decoders.0.output_conv.weight": torch.zeros(16, 5, 2, 2, 2)}
    with pytest.raises(UserError, match="2 bandwidths a pixel; only 1 or 3"):
        load_authors_model(write(path, two))
    flat = {**state, "decoders.1.output_conv.weight": torch.zeros(16, 1, 2, 2)}
    with pytest.raises(UserError, match="has the shape"):
        load_authors_model(write(path, flat))


def test_objects_are_found_in_a_volume_of_any_size(tmp_path: Path) -> None:
    """A network whose every voxel points nowhere: one object is what lies within its margin."""
    made = build("branched_erfnet", 1, 3, 1, 3)
    with torch.no_grad():
        for decoder in made.decoders:
            decoder.output_conv.weight.zero_()
            decoder.output_conv.bias.zero_()
        made.decoders[0].output_conv.bias[3:] = torch.tensor([0.8, 0.7, 0.6])  # x, y, z
        made.decoders[1].output_conv.bias += 3
    beside(tmp_path, {**GRID, "min_object_size": 1}, PERCENTILES)
    model = load(write(tmp_path / "m.pth", made.state_dict()), device="cpu")
    found = model.predict(np.random.default_rng(0).random((9, 17, 30), np.float32))
    assert found.label_map.shape == (9, 17, 30)
    steps, sigmas = np.array([0.5 / 20, 1 / 50, 1 / 100]), np.array([0.6, 0.7, 0.8])  # z, y, x
    radii = np.sqrt(np.log(2) / np.exp(10 * sigmas)) / steps
    first = np.argwhere(found.label_map == 1)
    away = (np.indices(found.label_map.shape).reshape(3, -1).T - first.min(0)) / radii
    assert len(first) == ((away**2).sum(1) < 1).sum() > 3

"""Volumes from voxels to instances: turned, enlarged, normalised, refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_predictor import bright
from torch import nn

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.index import build_object_index
from spatialembed.data.layouts.label_folder import scan
from spatialembed.embedding import PITCH, margin_to_sigma, turn
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_file, predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.symmetries import SYMMETRIES, averaged
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.inference.zoom import Part
from spatialembed.models import build
from spatialembed.models.normalization import MOST_SIDE, Normalization
from spatialembed.models.spec import ModelSpec


class Bright(nn.Module):
    """Says "object" where channel 0 of its input is above 0.5, with a margin of 9 pixels."""

    stride, depth_stride = 8, 4

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        assert not any(n % s for n, s in zip(volume.shape[2:], (4, 8, 8), strict=True))
        zero = torch.zeros_like(volume[:, :1])
        sigma = zero + margin_to_sigma(9)
        return torch.cat([zero, zero, zero, sigma, self.gain * (volume[:, :1] - 0.5)], 1)


def blocks(channels: int = 1) -> np.ndarray:
    voxels = np.zeros((9, 37, 61, channels), np.uint8)
    voxels[1:5, 3:8, 4:10] = 255
    voxels[6:9, 20:26, 40:44] = 255
    return voxels


def seeing(channels: int = 1, **changes) -> Model:
    spec = ModelSpec(
        "residual_unet",
        in_channels=channels,
        dims=3,
        pitch=(PITCH,) * 3,
        min_size=5,
        normalization=Normalization("range"),
    )
    return Model(TorchNetwork(Bright()), replace(spec, **changes))


@pytest.mark.parametrize("channels", [1, 2])
def test_kinds_of_volume_agree(tmp_path, channels) -> None:
    model, voxels = seeing(channels), blocks(channels)
    raw = model.raw(voxels)
    assert raw.shape == (5, 9, 37, 61)
    assert raw.dtype == np.float32
    found = model.predict(voxels)
    assert len(found) == 2
    assert found.label_map.dtype == np.int32
    np.testing.assert_array_equal(found.label_map > 0, voxels[..., 0] > 0)
    assert sorted(found.areas.tolist()) == [3 * 6 * 4, 4 * 5 * 6]
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.moveaxis(voxels, -1, 1), photometric="minisblack", metadata={"axes": "ZCYX"}
    )
    given_ = [path, str(path), *([voxels[..., 0]] if channels == 1 else [])]
    for kind in given_:
        np.testing.assert_array_equal(model.predict(kind).label_map, found.label_map)


@pytest.mark.parametrize(
    "volume",
    [
        np.zeros((5, 6)),
        np.zeros((2, 3, 4, 5, 6)),
        np.zeros((3, 4, 5), complex),
        Image.new("L", (5, 6)),
        np.zeros((3, 4, 5, 2), np.uint8),
        np.zeros((0, 4, 5), np.uint8),
    ],
)
def test_what_is_no_volume_is_refused(volume) -> None:
    with pytest.raises(UserError) as error:
        seeing().predict(volume)
    assert "\n" not in str(error.value)


def test_a_plane_on_disk_is_refused(tmp_path) -> None:
    Image.fromarray(blocks()[1, ..., 0]).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", blocks()[1, ..., 0])
    for name in ("a.png", "a.tif"):
        with pytest.raises(UserError, match=name):
            seeing().predict(tmp_path / name)


def test_grey_volumes_stored_in_color_fit_a_grey_model() -> None:
    np.testing.assert_array_equal(
        seeing().predict(blocks(3)).label_map, seeing().predict(blocks()).label_map
    )


@pytest.mark.parametrize("zoom", [0.5, 1.7])
def test_planes_alone_are_enlarged(zoom) -> None:
    model = seeing(zoom=zoom, pitch=(PITCH, PITCH, 4 * PITCH))
    given_ = []
    network = model.network
    model.network = lambda volume: given_.append(volume.shape) or network(volume)
    raw = model.raw(blocks())
    assert given_ == [(1, 9, round(37 * zoom), round(61 * zoom))]
    assert raw.shape == (5, 9, 37, 61)
    np.testing.assert_array_equal((raw[4] > 0).any((1, 2)), (blocks() > 0).any((1, 2, 3)))
    x, y, z = model.geometry((9, 37, 61))["pitch"]
    assert (x, y, z) == (PITCH * round(61 * zoom) / 61, PITCH * round(37 * zoom) / 37, 4 * PITCH)


def pointing_at_centers(voxels: np.ndarray, n_sigma: int) -> np.ndarray:
    """A network as symmetric as can be: arrows to each block's center, half extents as margins."""
    grid = np.indices(voxels.shape[:3])[::-1]  # x, y, z
    output = np.zeros((3 + n_sigma + 1, *voxels.shape[:3]), np.float32)
    for value in np.unique(voxels[voxels > 0]):
        inside = voxels[..., 0] == value
        for axis in range(3):
            own = grid[axis][inside]
            output[axis][inside] = np.arctanh((own.mean() - own) / 1024)
            if axis < n_sigma:
                size = np.ptp(own) if n_sigma == 3 else inside.sum()
                output[3 + axis][inside] = size / 100
        output[-1][inside] = value
    return output


def some(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    voxels = np.zeros((*shape, 1))
    for k in range(3):
        z, y, x = (rng.integers(n) for n in shape)
        voxels[z : z + 3, y : y + 1 + rng.integers(6), x : x + 1 + rng.integers(9)] = k + 1
    return voxels


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13)),
    st.integers(0, 99),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 3]),
)
def test_the_mean_over_symmetries_of_a_symmetric_network_is_its_output(shape, seed, count, n_sigma):
    voxels = some(shape, seed)
    expected = pointing_at_centers(voxels, n_sigma)
    found = averaged(lambda seen, _: pointing_at_centers(seen, n_sigma), voxels, n_sigma, count)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize(("quarters", "mirror"), SYMMETRIES[8])
def test_turning_the_output_is_the_output_of_the_turned_volume(quarters, mirror, n_sigma) -> None:
    voxels = some((4, 11, 16), 5)
    seen = np.rot90(voxels, quarters, (1, 2))
    seen = seen[:, :, ::-1] if mirror else seen
    expected = pointing_at_centers(seen, n_sigma)
    output = pointing_at_centers(voxels, n_sigma)
    np.testing.assert_allclose(turn(output, n_sigma, quarters, mirror), expected, atol=1e-6)
    of_torch = turn(torch.from_numpy(output), n_sigma, quarters, mirror)
    np.testing.assert_allclose(of_torch.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("symmetries", [2, 8])
def test_symmetries_of_a_model_of_volumes(symmetries) -> None:
    plain, turned = seeing(), seeing()
    turned.symmetries = symmetries
    np.testing.assert_allclose(turned.raw(blocks()), plain.raw(blocks()), atol=1e-5)


def test_stitching_is_of_models_of_images(tmp_path) -> None:
    path = tmp_path / "in" / "a.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, blocks()[..., 0], photometric="minisblack", metadata={"axes": "ZYX"})
    results = Results(tmp_path / "out")
    files = find_images([path], results.out)
    with pytest.raises(UserError, match="leave --stitch out") as error:
        list(predict_files(seeing(), files, results, stitch=True))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out/*"))
    (done,) = predict_files(seeing(), files, results)
    assert (done.error, done.found) == (None, 2)
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray() > 0, blocks()[..., 0] > 0)
    given_ = (None, None, None)
    assert predict_file(seeing(), files[0], results, True, given_).found == 2
    (done,) = predict_files(bright(), files, Results(tmp_path / "other"))
    assert "a.tif is a stack" in done.error


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(20, 19, 23), (90, 50, 7)])
@pytest.mark.parametrize("kind", ["percentile", "range"])
def test_volumes_are_normalised_in_training_as_they_are_in_prediction(
    tmp_path, dtype, shape, kind
) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 200, shape) + 50 * (np.arange(shape[0]) % 7 == 2)[:, None, None]
    voxels[0] += 5
    if dtype == np.uint16:
        voxels *= 11
    for part, array in (("images", voxels.astype(dtype)), ("masks", (voxels > 9).astype(np.uint8))):
        path = tmp_path / part / "a.tif"
        path.parent.mkdir()
        tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": "ZYX"})
    data = scan(tmp_path, "train", None, 0)
    normalization = Normalization(kind, white=4095.0 if kind == "range" else None)
    plain = Augmentation(flip=False, turn=False)
    size = max(shape[1:])
    given_ = (data, normalization.fixed, size, build_object_index(data))
    crop = Cropper(*given_, augmentation=plain, depth=shape[0]).draw(0)
    inside = np.argwhere(crop.label_mask.numpy() + (crop.ignore.numpy() == 0))
    window = tuple(slice(a, b + 1) for a, b in zip(inside.min(0), inside.max(0), strict=True))
    seen = seeing(normalization=normalization).normalized(data[0].image)
    np.testing.assert_array_equal(crop.image[0].numpy()[window], seen[..., 0])
    # Of the second shape the percentiles are those of a sample.
    assert (shape[0] * shape[1] > MOST_SIDE) == (shape[0] == 90)


def test_an_image_in_color_is_no_volume() -> None:
    with pytest.raises(UserError, match="looks like an image in color"):
        seeing().predict(np.zeros((96, 96, 3), np.uint8))
    assert seeing().predict(np.zeros((20, 12, 3), np.uint8)).label_map.shape == (20, 12, 3)


@pytest.mark.parametrize("zoom", [0.76, 1.0, 1.3])
def test_a_part_of_a_volume_is_seen_as_in_the_whole(zoom) -> None:
    """Its planes are enlarged, and the network's squares lie in it, as in those of the whole."""
    torch.manual_seed(0)
    network = build("residual_unet", 1, 3, 1, 3, widths=[4, 6], blocks=[1, 1], fine=2)
    model = replace_network(seeing(zoom=zoom, n_sigma=3), TorchNetwork(network))
    assert model.square == 4
    voxels = np.random.default_rng(0).integers(0, 255, (60, 90, 110, 1), np.uint8)
    whole = model.raw(voxels)
    rows, columns = slice(7, 79), slice(22, 110)
    part = model.raw(voxels[16:52, rows, columns], part=Part(rows, columns, (90, 110)))
    margin = math.ceil(12 / zoom)
    inner = slice(12, -12), slice(margin, -margin), slice(margin, None)
    expected = whole[:, 16:52, rows, columns]
    np.testing.assert_allclose(part[:, *inner], expected[:, *inner], atol=1e-5)


def replace_network(model: Model, network: TorchNetwork) -> Model:
    model.network = network
    return model

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from spatialembed.embedding import PITCH, embed, margin_to_sigma
from spatialembed.errors import UserError
from spatialembed.inference import predictor
from spatialembed.inference.predictor import Model, to_array
from spatialembed.inference.torch_network import TorchNetwork, evaluating
from spatialembed.inference.zoom import Part
from spatialembed.instances import Instances
from spatialembed.metrics.matching import match
from spatialembed.models import shipped
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec


class Bright(nn.Module):
    """Says "object" where channel 0 of its input is above 0.5, with a margin of 9 pixels."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))
        self.norm = nn.BatchNorm2d(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert image.shape[-1] % 8 == 0
        assert image.shape[-2] % 8 == 0
        zero = torch.zeros_like(image[:, :1])
        sigma = zero + margin_to_sigma(9)
        return torch.cat([zero, zero, sigma, self.gain * (image[:, :1] - 0.5)], dim=1)


def squares(channels: int = 1) -> np.ndarray:
    image = np.zeros((37, 61, channels), np.uint8)
    image[3:8, 4:10] = 255
    image[20:26, 40:44] = 255
    return image


def bright(channels: int = 1, **changes) -> Model:
    spec = ModelSpec(
        "residual_unet", in_channels=channels, min_size=5, normalization=Normalization("range")
    )
    return Model(TorchNetwork(Bright()), spec, **changes)


def test_raw_has_the_size_of_the_image() -> None:
    raw = bright().raw(squares())
    assert raw.shape == (4, 37, 61)
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw[3] > 0, squares()[..., 0] > 0)


def test_objects_of_another_size_are_shown_as_those_of_training() -> None:
    spec = replace(bright().spec, object_diameter=5)
    large = np.kron(squares()[..., 0], np.ones((3, 3), np.uint8))
    model = Model(TorchNetwork(Bright()), spec, diameter=15)
    assert model.prepared(large[..., None]).shape == (1, 37, 61)
    expected = np.kron(bright().predict(squares()).label_map, np.ones((3, 3), np.int32))
    found = model.predict(large)
    assert (found.label_map != expected).sum() <= 8  # corners are rounded
    assert model.settings()[2] == 45  # a minimum size of 5, nine times
    # The same by the model's own zoom, of which minimum sizes do not take part.
    model = Model(TorchNetwork(Bright()), replace(spec, zoom=1 / 3, min_size=45))
    np.testing.assert_array_equal(model.predict(large).label_map, found.label_map)
    assert model.geometry(large.shape)["pitch"] == pytest.approx((PITCH / 3, PITCH / 3))


def pointing(image: np.ndarray) -> np.ndarray:
    """Stands where a network would: every pixel points at line 10, column 20 of what it sees."""
    y, x = np.indices(image.shape[1:])
    steps = np.stack([20 - x, 10 - y]) * PITCH
    rest = np.ones((2, *image.shape[1:]))
    return np.concatenate([np.arctanh(steps), rest]).astype(np.float32)


@pytest.mark.parametrize("zoom", [0.5, 0.35, 1.0, 1.7])
@pytest.mark.parametrize("shape", [(101, 63), (64, 33), (7, 90)])
def test_a_pixel_is_as_far_from_the_next_as_the_network_sees_it(zoom, shape) -> None:
    """101 pixels at half their size are 50 or 51 lines: all still land on one point."""
    spec = replace(bright().spec, zoom=zoom, margin=6.0)
    model = Model(pointing, spec)
    geometry = model.geometry(shape)
    position = embed(model.raw(np.zeros(shape, np.uint8)), **geometry).position
    inner = position[:, 4:-4, 4:-4] if min(shape) > 20 else position[:, 3:4, 4:-4]
    assert np.ptp(inner, axis=(1, 2)).max() < 0.02 * PITCH
    seen = Part.whole(shape).enlarged(zoom).shape
    assert geometry["pitch"] == (PITCH * seen[1] / shape[1], PITCH * seen[0] / shape[0])
    # A fixed bandwidth is as wide as the network was trained for.
    assert geometry["margin"] * min(geometry["pitch"]) == pytest.approx(6 * PITCH, rel=1e-12)
    if zoom == 1:
        assert geometry == {"n_sigma": 1, "pitch": (PITCH, PITCH), "margin": 6.0}


def test_a_part_has_the_geometry_of_its_whole(monkeypatch) -> None:
    seen = []
    for name in ("take_foreground", "refine"):
        real = getattr(predictor, name)
        monkeypatch.setattr(
            predictor, name, lambda *a, real=real, **o: seen.append(o["pitch"]) or real(*a, **o)
        )
    spec = replace(bright().spec, zoom=0.5, refine=True)
    part = Part(slice(0, 37), slice(0, 61), (101, 203))
    model = Model(TorchNetwork(Bright()), spec)
    found = model.predict(squares(), part=part, min_size=1)
    assert len(found) == 2
    model.refined(found, model.raw(squares(), part=part), whole=part.shape)
    expected = PITCH * round(203 / 2) / 203, PITCH * round(101 / 2) / 101
    assert seen == [expected, expected]


@pytest.mark.parametrize(
    ("diameter", "known", "said"),
    [(0, 5, "number of pixels"), (float("nan"), 5, "number of pixels"), (9, None, "does not say")],
)
def test_a_diameter_that_cannot_be_followed(diameter, known, said) -> None:
    spec = replace(bright().spec, object_diameter=known)
    with pytest.raises(UserError, match=said):
        Model(TorchNetwork(Bright()), spec, diameter=diameter)


def test_predict_finds_what_the_network_says() -> None:
    found = bright().predict(squares())
    expected = np.zeros((37, 61), np.int32)
    expected[3:8, 4:10], expected[20:26, 40:44] = 1, 2
    np.testing.assert_array_equal(found.label_map, expected)
    assert found.label_map.dtype == np.int32
    assert found.class_names == ("object",)


def test_given_settings_take_the_place_of_stored_ones() -> None:
    model = bright()
    assert len(model.predict(squares(), min_size=25)) == 1  # the squares have 30 and 24 pixels
    assert len(model.predict(squares(), seed_threshold=1.0)) == 0
    assert len(model.predict(squares(), foreground_threshold=1.0)) == 0


def test_image_kinds_agree(tmp_path) -> None:
    array = squares(3)
    Image.fromarray(array).save(tmp_path / "x.png")
    model = bright(3)
    kinds = [array, tmp_path / "x.png", str(tmp_path / "x.png"), Image.fromarray(array)]
    kinds.append(Image.fromarray(array).convert("RGBA"))
    maps = [model.predict(kind).label_map for kind in kinds]
    assert maps[0].max() == 2
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    grey = squares()[..., 0]
    for kind in (grey, Image.fromarray(grey), grey > 0, grey / np.float32(255)):
        np.testing.assert_array_equal(bright().predict(kind).label_map, maps[0])


def test_wrong_channels_are_named(tmp_path) -> None:
    Image.fromarray(squares()[..., 0]).save(tmp_path / "grey.png")
    with pytest.raises(UserError, match=r"expects 3 channels, .*grey\.png has 1"):
        bright(3).predict(tmp_path / "grey.png")
    with pytest.raises(UserError, match=r"the image is in color, .* takes grey images; .*cells"):
        bright(1).predict(squares(3) * np.uint8([1, 2, 3]))
    takes_grey = bright(3)
    takes_grey.spec = replace(takes_grey.spec, takes_grey=True)
    with pytest.raises(UserError, match=r"expects 3 channels \(or one, grey\), .* has 2"):
        takes_grey.predict(squares(2))


@pytest.mark.parametrize("array", [np.zeros(5), np.zeros((2, 3, 4, 5)), np.array([["a"]])])
def test_arrays_that_are_no_image(array) -> None:
    with pytest.raises(UserError, match="an image is an array"):
        to_array(array)


def test_an_image_without_pixels() -> None:
    with pytest.raises(UserError, match="no pixels"):
        bright().predict(np.zeros((0, 4), np.uint8))


def test_layers_keep_their_modes() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Sequential(nn.BatchNorm2d(1)))
    network.train()
    network[0].eval()  # frozen statistics
    before = [module.training for module in network.modules()]
    with evaluating(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == before


def test_predicting_leaves_training_alone() -> None:
    model = bright()
    model.network.module.train()
    model.predict(squares())
    assert model.network.module.training
    assert model.network.module.gain.grad is None
    assert model.network.module.norm.num_batches_tracked == 0


def test_grey_images_stored_in_color_fit_a_grey_model() -> None:
    grey = squares()
    for stored in (np.repeat(grey, 3, 2), np.concatenate([grey] * 3 + [grey + 7], 2)):
        found = bright().predict(stored)
        np.testing.assert_array_equal(found.label_map, bright().predict(grey).label_map)
    colored = np.repeat(grey, 3, 2)
    colored[0, 0] = 1, 2, 3
    with pytest.raises(UserError, match="in color"):
        bright().predict(colored)


def test_a_diameter_that_would_fill_the_memory_is_refused() -> None:
    spec = replace(bright().spec, object_diameter=1000)
    with pytest.raises(UserError, match="check the diameter"):
        Model(TorchNetwork(Bright()), spec, diameter=0.5).raw(squares())


@pytest.mark.parametrize("kind", ["range", "percentile"])
def test_inverted_images_are_seen_as_what_they_were(kind) -> None:
    spec = replace(bright().spec, normalization=Normalization(kind, low=0, high=100))
    model, inverting = (Model(TorchNetwork(Bright()), spec, invert=i) for i in (False, True))
    found = inverting.predict(255 - squares())
    np.testing.assert_array_equal(found.label_map, model.predict(squares()).label_map)
    assert found.label_map.max() == 2
    assert (model.used()["invert"], inverting.used()["invert"]) == (None, True)


def test_no_hot_pixel_outweighs_an_inverted_image() -> None:
    spec = replace(bright().spec, normalization=Normalization("percentile"))
    image = np.full((40, 50, 1), 90, np.uint16)
    image[::2], image[0, 0] = 100, 60000
    prepared = Model(TorchNetwork(Bright()), spec, invert=True).prepared(image)
    assert (prepared.min(), prepared.max()) == (-1, 1)


@pytest.mark.parametrize(
    "normalization", [Normalization("none"), Normalization("mean-std", mean=(3,), std=(1,))]
)
def test_what_has_no_black_and_white_is_not_inverted(normalization) -> None:
    spec = replace(bright().spec, normalization=normalization)
    with pytest.raises(UserError, match=rf"{normalization.kind}, .*leave out --invert"):
        Model(TorchNetwork(Bright()), spec, invert=True)


def test_images_in_color_are_sent_to_a_model_for_color(tmp_path, monkeypatch) -> None:
    spec = ModelSpec("residual_unet", {"widths": [8, 8], "blocks": [1, 1]}, in_channels=3)
    save_model(tmp_path / "hues.safetensors", spec.build(), spec)
    monkeypatch.setattr(shipped, "packaged", lambda *_: [tmp_path / "hues.safetensors"])
    told = r"a model for color \(hues\), take the color .*--channel 2`\), or convert it to grey"
    with pytest.raises(UserError, match=told):
        bright().predict(squares(3) * np.uint8([1, 2, 3]))


def test_settings_that_are_asked_for_are_those_of_all_clustering() -> None:
    model = bright()
    other = model.asking(seed_threshold=0.4, min_size=3)
    own = model.settings()
    assert other.settings() == (0.4, own[1], 3)
    assert other.settings(seed_threshold=0.6) == (0.6, own[1], 3)
    assert other.seeing(None).settings() == other.settings()
    assert model.settings() == own
    with pytest.raises(UserError, match="foreground threshold lies between"):
        model.asking(foreground_threshold=-1)


def test_masked_pixels_are_refused_not_taken_as_stored() -> None:
    image = np.ma.masked_array(squares(), mask=squares() > 0)
    with pytest.raises(UserError, match=r"has masked pixels.*array\.filled\(0\)"):
        bright().predict(image)
    assert len(bright().predict(np.ma.masked_array(squares()))) == 2
    output = np.ma.masked_array(bright().raw(squares()))
    assert len(bright().cluster(output)) == 2
    found = bright().cluster(output)
    output[:, 5] = np.ma.masked
    for work in (bright().cluster, lambda raw: bright().refined(found, raw)):
        with pytest.raises(ValueError, match=r"has masked values.*output\.filled\(numpy\.nan\)"):
            work(output)
    labels = np.ma.masked_array(found.label_map, mask=found.label_map == 2)
    with pytest.raises(ValueError, match=r"masked values.*array\.filled\(0\)"):
        Instances.from_label_map(labels)
    with pytest.raises(UserError, match=r"label mask has masked pixels: give array\.filled\(0\)"):
        match(found.label_map, labels)
    assert len(bright().predict(image.filled(0))) == 0


def test_channels_that_come_first_are_said_to() -> None:
    for channels in (1, 3):
        with pytest.raises(UserError, match=r"\(., 37, 61\), with its channels first.*\(H, W, C\)"):
            bright().predict(np.repeat(squares()[None, ..., 0], channels, 0))
    with pytest.raises(UserError, match="the image has 2: name those"):
        bright().predict(np.zeros((1, 61, 2), np.uint8))

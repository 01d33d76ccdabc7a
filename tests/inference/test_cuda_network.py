"""A network on a card says what it says on the CPU; the same lines run on the CPU too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_predictor import Bright, bright, squares
from torch import nn

from spatialembed.embedding import turn
from spatialembed.errors import UserError
from spatialembed.inference import cuda_network, tiles
from spatialembed.inference.cuda_network import CudaNetwork
from spatialembed.inference.looks import look_at
from spatialembed.inference.network import CardNetwork
from spatialembed.inference.predictor import Model
from spatialembed.inference.resizing import resized, sampled
from spatialembed.inference.symmetries import SYMMETRIES
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.inference.zoom import Part
from spatialembed.kernels.foreground import as_float32
from spatialembed.models import build
from spatialembed.models.folding import folded
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch) -> str:
    # What is compared is float32 itself, not what TF32 makes of it.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return request.param


def network(channels: int = 3, n_sigma: int = 2) -> nn.Module:
    torch.manual_seed(0)
    made = build("residual_unet", channels, n_sigma, 2, widths=[8, 16, 16], blocks=[1, 1, 1])
    for parameter in made.parameters():  # what starts at zero would hide an error
        nn.init.normal_(parameter, 0, 0.1)
    return folded(made.eval())


def models(device: str, precision="float32", channels: int = 3, **changes):
    """The same model by both kinds of network."""
    spec = ModelSpec("residual_unet", in_channels=channels, n_sigma=2, class_names=("a", "b"))
    spec = replace(spec, **changes.pop("spec", {}))
    there = CudaNetwork(network(channels).to(device), precision)
    return (
        Model(TorchNetwork(network(channels)), spec, **changes),
        Model(there, spec, **changes),
    )


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def require_same(found: np.ndarray, expected: np.ndarray, within: float = 1e-4) -> None:
    """But for rounding, which sums leave where their terms cancel: by the largest value."""
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    assert np.abs(found - expected).max() <= within * np.abs(expected).max()


def test_kinds_of_network() -> None:
    assert isinstance(CudaNetwork(Bright()), CardNetwork)
    assert not isinstance(TorchNetwork(Bright()), CardNetwork)
    assert not isinstance(lambda image: image, CardNetwork)
    with pytest.raises(UserError, match="precision"):
        CudaNetwork(Bright(), "half")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.bool_])
@pytest.mark.parametrize("kind", ["range", "percentile", "mean-std", "none"])
@pytest.mark.parametrize("zoom", [1.0, 0.6])
def test_raw_outputs_are_those_of_the_cpu(device, dtype, kind, zoom) -> None:
    normalization = Normalization(kind, mean=(90, 100, 110), std=(40, 50, 60))
    expected, found = models(device, spec={"normalization": normalization, "zoom": zoom})
    pixels = picture(61, 83, 3)
    image = pixels > 128 if dtype == np.bool_ else pixels.astype(dtype) * dtype(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spatialembed.inference.sight.tell", lambda *_: None)
        output = found.output(image)
        outputs = expected.raw(image), found.raw(image)
    assert isinstance(output, torch.Tensor)
    assert output.device.type == device
    assert output.is_contiguous()
    assert outputs[1].dtype == np.float32
    require_same(outputs[1], outputs[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("most", [4096, 30])
def test_pixels_of_few_bits_are_normalised_there_bit_for_bit(
    device, dtype, invert, most, monkeypatch
) -> None:
    for module in ("models.normalization", "inference.sight"):  # of longer sides there are samples
        monkeypatch.setattr(f"spatialembed.{module}.MOST_SIDE", most)
    monkeypatch.setattr("spatialembed.models.normalization.SAMPLES", 2)
    monkeypatch.setattr("spatialembed.models.normalization.SAMPLE_SIDE", 3)
    for kind, channels in (("range", 3), ("percentile", 3), ("percentile", 1)):
        spec = {"normalization": Normalization(kind), "takes_grey": True}
        _, model = models(device, spec=spec, invert=invert)
        pixels = picture(20, 31, channels).astype(dtype) * dtype(257 if dtype == np.uint16 else 1)
        seen = model._there(model.network, pixels, Part.whole(pixels.shape[:2]))
        np.testing.assert_array_equal(seen.cpu().numpy(), model.prepared(pixels))
        model.spec = replace(model.spec, zoom=1.4)
        seen = model._there(model.network, pixels, Part.whole(pixels.shape[:2]))
        np.testing.assert_allclose(seen.cpu().numpy(), model.prepared(pixels), atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_written_to_are_uploaded(device) -> None:
    pixels = picture(9, 7, 3)
    pixels.flags.writeable = False
    card = CudaNetwork(Bright().to(device))
    floats = pixels.astype(np.float32)
    records = np.zeros((9, 7, 3), [("flag", np.uint8), ("value", np.float32)])  # 5 bytes apart
    records["value"] = floats
    odd = (pixels[:, ::-1], pixels[::2, 1:, :2], pixels[:0], records["value"])
    for array in (pixels, floats, floats.T, *odd):
        there = card.uploaded(array)
        assert there.device.type == device
        np.testing.assert_array_equal(there.cpu().numpy(), array)
    assert not pixels.flags.writeable


def test_what_was_uploaded_is_a_copy(device) -> None:
    pixels = picture(9, 7, 3)
    before = pixels.copy()
    there = CudaNetwork(Bright().to(device)).uploaded(pixels)
    pixels[...] = 0
    np.testing.assert_array_equal(there.cpu().numpy(), before)


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("zoom", [1.0, 1.3])
@pytest.mark.parametrize("shape", [(40, 64), (48, 48)])
def test_views_together_are_views_one_by_one(device, count, zoom, shape) -> None:
    expected, found = models(device, symmetries=count, spec={"zoom": zoom})
    image = picture(*shape, 3)
    together = []
    many = found.network.many
    found.network.many = lambda images: together.append(len(images)) or many(images)
    require_same(found.raw(image), expected.raw(image), 1e-3)
    assert together == [2] if count == 2 else [count // 2] * 2
    # Parts of a larger image begin elsewhere in each view: one by one.
    part = Part(slice(0, shape[0]), slice(32, 32 + shape[1]), (99, 200))
    outputs = (model.raw(image, part=part) for model in (expected, found))
    require_same(*outputs, 1e-3)


@pytest.mark.parametrize("how", SYMMETRIES[8])
def test_tensors_turn_as_arrays_do(how) -> None:
    output = np.random.default_rng(0).normal(size=(6, 5, 7)).astype(np.float32)
    for n_sigma in (1, 2):
        turned = turn(torch.from_numpy(output), n_sigma, *how)
        np.testing.assert_array_equal(turned.numpy(), turn(output, n_sigma, *how))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 6), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_tensors_are_resized_as_arrays_are(height, width, zoom, left) -> None:
    image = np.random.default_rng(0).normal(size=(2, height, width)).astype(np.float32)
    columns = slice(left, left + width)
    for part in (Part.whole((height, width)), Part(slice(3, 3 + height), columns, (99, 120))):
        to = part.enlarged(zoom)
        found = resized(torch.from_numpy(image), to).numpy()
        np.testing.assert_allclose(found, resized(image, to), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_are_sampled_as_arrays_are(dtype) -> None:
    at = Part.whole((23, 31)).enlarged(0.7)
    maps = torch.randn(3, *at.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    found, expected = sampled(maps, at), sampled(maps.float().numpy(), at)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_half_precision_is_of_weights_and_output(device) -> None:
    expected, found = models(device, "bf16")
    assert {p.dtype for p in found.network.module.parameters()} == {torch.bfloat16}
    image = picture(50, 60, 3)
    output = found.output(image)
    assert output.dtype == torch.bfloat16
    exact = expected.raw(image)
    assert np.linalg.norm(as_float32(output) - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_what_is_found_is_found_on_the_card(device, precision) -> None:
    spec = replace(bright().spec, refine=True)
    model = Model(CudaNetwork(Bright().to(device), precision), spec)
    found = model.predict(squares())
    np.testing.assert_array_equal(found.label_map, bright().predict(squares()).label_map)
    looks = [look_at(m, squares(), m.output(squares()), found) for m in (model, bright())]
    assert looks[0] == pytest.approx(looks[1], abs=0.02)


@pytest.mark.parametrize("zoom", [1.0, 0.5])  # at ½ it takes what the network sees, not the image
def test_what_is_too_large_for_the_card_is_cut(device, monkeypatch, zoom) -> None:
    expected, found = models(device, spec={"zoom": zoom})
    found.network.side = tiles.LEAST
    monkeypatch.setattr(tiles, "memory", lambda: 0)
    image = picture(850, 900, 3)
    output = found.output(image)
    assert isinstance(output, np.ndarray)
    require_same(output, expected.raw(image))


def test_batches_are_as_large_as_the_card_takes(monkeypatch) -> None:
    there = CudaNetwork(network())
    sizes = []
    forward = there._forward
    there.graphs = lambda batch: sizes.append(len(batch)) or forward(batch)
    images = [picture(3, 16, 24, seed=k).astype(np.float32) for k in range(5)]
    expected = [there(image) for image in images]
    assert sizes == [1] * 5
    sizes.clear()
    monkeypatch.setattr(cuda_network, "BATCH_PIXELS", 2 * 16 * 24)
    for one, other in zip(there.many(images), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert sizes == [2, 2, 1]


class Full(nn.Module):
    """Takes one image at a time, of up to so many pixels."""

    stride = 1

    def __init__(self, most: float) -> None:
        super().__init__()
        self.weight, self.most, self.given = nn.Parameter(torch.ones(1)), most, []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.given.append(tuple(image.shape))
        if image.shape[0] > 1 or image.shape[2] * image.shape[3] > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return image.repeat(1, 4, 1, 1)


def test_a_batch_that_does_not_fit_is_taken_one_by_one() -> None:
    module = Full(100)
    outputs = CudaNetwork(module).many([np.ones((1, 8, 8), np.float32)] * 3)
    assert [tuple(output.shape) for output in outputs] == [(4, 8, 8)] * 3
    assert [shape[0] for shape in module.given] == [3, 1, 1, 1]


def test_an_image_that_does_not_fit_is_one_sentence() -> None:
    model = Model(CudaNetwork(Full(100)), bright().spec)
    assert model.raw(squares()[:9, :9]).shape == (4, 9, 9)
    for predict in (model.raw, model.predict):
        with pytest.raises(UserError, match=r"^big\.png is too large .*GPU.*--precision bf16"):
            predict(squares(), name="big.png")

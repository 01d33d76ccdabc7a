"""Networks of three axes, and that those of two are what they were."""

import copy
import hashlib
import itertools

import pytest
import torch
from test_networks import SMALL, shake
from torch import nn

from spatialembed.errors import UserError
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models import build, forward_any_size, strides
from spatialembed.models.axes import Axes, flat_for, in_layout
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.folding import folded
from spatialembed.models.spec import ModelSpec

LIGHT = {"widths": (6, 8, 10), "blocks": (1, 1, 1)}
KINDS = [(flat, fine) for flat in range(4) for fine in (0, 5)]

BEFORE = {
    "branched_erfnet": ("f38d8ad2e7077faa", 169.263944, -0.07167, 0.053910),
    "residual_unet": ("438c6a8798ee02f2", 41.857201, 24.31825, 0.173874),
    "fine residual_unet": ("9f275ca8bd2e996e", 31.457244, -0.26914, 0.114698),
}
"""Of networks of images when there were no others: a digest of names and shapes of their weights,
these weighed, and the outputs, weighed and as large as they are in the mean."""


def network(
    flat: int, fine: int = 0, in_channels: int = 1, n_sigma: int = 3, n_classes: int = 1
) -> nn.Module:
    torch.manual_seed(0)
    made = build("residual_unet", in_channels, n_sigma, n_classes, 3, **LIGHT, flat=flat, fine=fine)
    return lively(made)


def lively(made: nn.Module) -> nn.Module:
    """Shaken, but what goes in at the image still tells at the end."""
    shake(made)
    for module in made.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.weight.data += 1
    return made.eval()


def weighed(values: torch.Tensor) -> float:
    values = values.double().flatten()
    return float(values @ torch.cos(torch.arange(len(values), dtype=torch.float64)))


@pytest.mark.parametrize("name", SMALL)
def test_networks_of_images_are_what_they_were(name) -> None:
    torch.manual_seed(0)
    kind, options = SMALL[name]
    made = build(kind, 3, 2, 2, **options)
    state = made.state_dict()
    text = "\n".join(f"{key} {tuple(value.shape)}" for key, value in state.items())
    digest, weights, output, size = BEFORE[name]
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest
    assert sum(map(weighed, state.values())) == pytest.approx(weights, abs=1e-3)
    image = torch.sin(torch.arange(3 * 64 * 64, dtype=torch.float64)).float()
    with torch.no_grad():
        found = shake(made).eval()(image.reshape(1, 3, 64, 64))
    assert weighed(found) == pytest.approx(output, abs=0.01)
    assert float(found.abs().mean()) == pytest.approx(size, rel=1e-4)


@pytest.mark.parametrize("flat", range(4))
@pytest.mark.parametrize("shape", [(8, 8, 8), (16, 8, 24)])
def test_squares_are_cubes_of_voxels_and_back(flat, shape) -> None:
    axes = Axes(3, flat)
    volume = torch.randn(2, 3, *shape)
    squares = axes.in_squares(volume)
    deep = 1 if flat else 2
    assert axes.square(0) == 4 * deep
    assert squares.shape == (2, 3 * 4 * deep, shape[0] // deep, shape[1] // 2, shape[2] // 2)
    for c, dz, dy, dx in itertools.product(range(3), range(deep), range(2), range(2)):
        channel = ((c * deep + dz) * 2 + dy) * 2 + dx
        assert torch.equal(squares[:, channel], volume[:, c, dz::deep, dy::2, dx::2])
    assert torch.equal(axes.from_squares(squares), volume)


def test_squares_of_images_are_those_of_a_plane() -> None:
    image = torch.randn(2, 3, 6, 10)
    squares = Axes().in_squares(image)
    assert torch.equal(Axes().from_squares(squares), image)
    assert torch.equal(Axes(3, 1).in_squares(image[:, :, None])[:, :, 0], squares)


@pytest.mark.parametrize(("flat", "fine"), KINDS)
@pytest.mark.parametrize(("channels", "n_sigma", "n_classes"), [(1, 3, 1), (3, 1, 2)])
def test_every_channel_at_the_size_of_the_volume(flat, fine, channels, n_sigma, n_classes) -> None:
    torch.manual_seed(0)
    options = {**LIGHT, "flat": flat, "fine": fine}
    made = build("residual_unet", channels, n_sigma, n_classes, 3, **options).eval()
    deep = 2 ** (3 - flat)
    assert strides(made, 3) == (deep, 8, 8)
    shape = 2 * deep, 16, 24
    with torch.no_grad():
        output = made(torch.rand(2, channels, *shape))
    assert output.shape == (2, 3 + n_sigma + n_classes, *shape)
    assert not output[:, :3].any()  # no offset at first
    assert torch.equal(output[:, 3 : 3 + n_sigma], torch.ones(2, n_sigma, *shape))
    assert output[:, 3 + n_sigma :].std() > 0


@pytest.mark.parametrize(("flat", "fine"), [(0, 5), (2, 0), (3, 5)])
def test_every_parameter_gets_a_gradient(flat, fine) -> None:
    made = network(flat, fine).train()
    made(torch.rand(2, 1, 8, 16, 16)).square().sum().backward()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None, key
    used = [bool(parameter.grad.any()) for parameter in made.parameters()]
    assert sum(used) > 0.95 * len(used)


@pytest.mark.parametrize(("flat", "fine"), KINDS)
def test_any_size_is_the_border_repeated_and_the_result_cropped(flat, fine) -> None:
    made = network(flat, fine, 2)
    for shape in [(1, 1, 1), (3, 9, 17), (10, 8, 5)]:
        volume = torch.rand(1, 2, *shape)
        with torch.no_grad():
            output = forward_any_size(made, volume)
            padded = volume
            for axis, (side, stride) in enumerate(zip(shape, strides(made, 3), strict=True), 2):
                lines = torch.arange(-(-side // stride) * stride).clamp(max=side - 1)
                padded = padded.index_select(axis, lines)
            z, y, x = shape
            expected = made(padded)[:, :, :z, :y, :x]
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize(("flat", "fine"), KINDS)
def test_a_folded_network_is_the_same_function(flat, fine) -> None:
    made = network(flat, fine, 2)
    before = copy.deepcopy(made.state_dict())
    light = folded(made)
    assert not [m for m in light.modules() if isinstance(m, nn.BatchNorm3d)]
    assert strides(light, 3) == strides(made, 3)
    for shape in [(7, 9, 11), (2, 16, 8)]:  # another size than it was traced with
        volume = torch.rand(1, 2, *shape)
        with torch.no_grad():
            expected, found = forward_any_size(made, volume), forward_any_size(light, volume)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


@pytest.mark.parametrize("fine", [0, 6])
def test_a_flat_network_without_depth_is_one_of_images_on_each_plane(fine) -> None:
    torch.manual_seed(0)
    options = {**LIGHT, "fine": fine}
    plane = lively(build("residual_unet", 2, 2, 3, **options))
    volume = build("residual_unet", 2, 3, 3, 3, **options, flat=3).eval()
    weights, state = plane.state_dict(), volume.state_dict()
    assert list(weights) == list(state)
    for key, own in state.items():
        given = weights[key]
        if own.shape == given.shape:
            own.copy_(given)
        elif not key.startswith("embedding_head.output_conv"):  # which has a z
            own.zero_()
            own[:, :, own.shape[2] // 2] = given
    image = torch.rand(1, 2, 5, 16, 24)
    with torch.no_grad():
        found = volume(image)
        expected = torch.stack([plane(image[:, :, z]) for z in range(5)], 2)
    torch.testing.assert_close(found[:, -3:], expected[:, -3:])


@pytest.mark.parametrize(("flat", "fine"), [(0, 5), (1, 0), (2, 5)])
def test_a_volume_moved_by_the_strides_gives_the_moved_output(flat, fine) -> None:
    made = network(flat, fine)
    step = made.depth_stride
    volume = torch.zeros(1, 1, 80, 8, 8)
    volume[:, :, 36:44] = torch.rand(8, 8, 8)
    with torch.no_grad():
        still, far, near = (made(volume.roll(k, 2)).roll(-k, 2) for k in (0, step, 1))
    by_strides, by_one = ((other - still)[:, :, 32:48].abs().max() for other in (far, near))
    assert by_strides < 1e-4
    assert by_one > 1e-3  # cubes lie where they lie


@pytest.mark.parametrize(("flat", "fine"), [(0, 5), (2, 0)])
def test_layouts_and_bf16_agree_with_plain_float32(flat, fine) -> None:
    made = network(flat, fine)
    volume = torch.rand(1, 1, 8, 16, 24)
    with torch.no_grad():
        plain = made(volume)
        with torch.autocast("cpu", torch.bfloat16):
            low = made(volume).float()
    assert (low - plain).abs().mean() < 0.05 * plain.abs().mean()
    last = in_layout(copy.deepcopy(made))
    kernel = last.stem[0].weight
    assert kernel.is_contiguous(memory_format=torch.channels_last_3d)
    found = TorchNetwork(last)(volume[0].numpy())
    torch.testing.assert_close(torch.from_numpy(found), plain[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("ratio", "levels", "expected"),
    [(0.3, 4, 0), (1, 4, 0), (1.3, 4, 0), (2, 4, 1), (2.9, 4, 2), (4, 4, 2), (9, 4, 3), (99, 3, 3)],
)
def test_as_many_levels_are_flat_as_make_voxels_cubes(ratio, levels, expected) -> None:
    assert flat_for(ratio, levels) == expected


SPEC = ModelSpec(
    "residual_unet",
    {"widths": [6, 8], "blocks": [1, 1], "flat": 1, "fine": 3},
    in_channels=2,
    n_sigma=3,
    dims=3,
    spacing=(2.0, 0.25, 0.3),
    zoom=0.7,
    pitch=(1 / 1024, 1.2 / 1024, 5.6 / 1024),
    object_diameter=17.5,
)


def test_a_description_of_volumes_goes_through_a_file(tmp_path) -> None:
    torch.manual_seed(0)
    made = shake(SPEC.build()).eval()
    save_model(tmp_path / "model.safetensors", made, SPEC)
    loaded, spec = load_model(tmp_path)
    assert spec == SPEC
    assert (spec.dims, spec.spacing, spec.pitch) == (3, (2.0, 0.25, 0.3), SPEC.pitch)
    volume = torch.rand(1, 2, 4, 8, 12)
    with torch.no_grad():
        assert torch.equal(loaded(volume), made(volume))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dims": 4}, "2 or 3 axes"),
        ({"n_sigma": 2}, "1 or 3"),
        ({"pitch": (0.001, 0.001)}, "pitch"),
        ({"spacing": (1.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"finds_size": True}, "of images"),
    ],
)
def test_a_description_of_volumes_checks_itself(changes, told) -> None:
    with pytest.raises(ValueError, match=told):
        ModelSpec(**{**vars(SPEC), **changes})
    with pytest.raises(ValueError, match=told):
        ModelSpec.from_dict(SPEC.to_dict() | changes)


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (("residual_unet", 1, 2, 1, 3), {}, "1 or 3 bandwidths"),
        (("residual_unet", 1, 3, 1, 2), {}, "1 or 2 bandwidths"),
        (("residual_unet", 1, 1, 1, 2), {"flat": 1}, "flat is of volumes"),
        (("residual_unet", 1, 1, 1, 3), {**LIGHT, "flat": 4}, "flat is of volumes"),
        (("residual_unet", 1, 1, 1, 3), {"widths": [8] * 6, "blocks": [1] * 6}, "2 to 5 levels"),
        (("residual_unet", 1, 1, 1, 3), {"flat": -1}, "flat is of volumes"),
        (("residual_unet", 1, 1, 1, 3), {"dims": 3}, "no option 'dims'"),
        (("pretrained_unet", 1, 1, 1, 3), {}, "of images, not of volumes"),
    ],
)
def test_refuses_what_it_cannot_build(arguments, options, told) -> None:
    with pytest.raises(UserError, match=told) as error:
        build(*arguments, **options)
    assert "\n" not in str(error.value)

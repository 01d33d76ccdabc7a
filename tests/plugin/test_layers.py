"""What is taken of layers, by stand-ins for napari's, which need not be installed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import spatialembed as se
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.plugin.layers import channels_of, find, pixels_of, shape_of, spacing_of


def layer(data, name="a", rgb=False, scale=None, units="pixel"):
    multiscale = isinstance(data, list)
    first = data[0] if multiscale else data
    dims = first.ndim - rgb
    return SimpleNamespace(
        data=data,
        name=name,
        rgb=rgb,
        multiscale=multiscale,
        scale=np.array(scale or (1.0,) * dims),
        units=(units,) * dims,
    )


def stack(depth=3):
    """Discs that run through all planes."""
    y, x = np.indices((96, 96))
    plane = np.full((96, 96), 30, np.uint8)
    for cy, cx in ((26, 30), (66, 60)):
        plane[(y - cy) ** 2 + (x - cx) ** 2 < 110] = 200
    return np.stack([plane] * depth)


def test_pixels_of_all_channels_without_alpha():
    grey, color = np.arange(60).reshape(3, 4, 5), np.arange(240).reshape(3, 4, 5, 4)
    assert pixels_of([layer(grey)]).shape == (3, 4, 5, 1)
    np.testing.assert_array_equal(pixels_of([layer(color, rgb=True)]), color[..., :3])
    pyramid = layer([grey, grey[:, ::2, ::2]])
    two = pixels_of([layer(grey + 1), pyramid])
    np.testing.assert_array_equal(two, np.stack([grey + 1, grey], -1))
    assert shape_of(pyramid) == shape_of(layer(color, rgb=True)) == (3, 4, 5)


@pytest.mark.parametrize(
    ("scale", "units", "told"),
    [
        (None, "pixel", None),
        (None, "micrometer", (1, 1, 1)),
        ((0.4, 0.15, 0.15), "pixel", (0.4, 0.15, 0.15)),
        ((400, 150, 150), "nanometer", (0.4, 0.15, 0.15)),
        ((-3, 1, 1), "pixel", (3, 1, 1)),
    ],
)
def test_spacing_is_what_the_scale_says(scale, units, told):
    data = np.zeros((2, 3, 4))
    assert spacing_of(layer(data, scale=scale, units=units)) == (told and pytest.approx(told))


def test_several_channels_are_chosen_together():
    spec = SimpleNamespace(in_channels=2, takes_grey=False)
    one, two, other = (layer(np.zeros((3, 4, side)), str(side)) for side in (5, 5, 6))
    assert channels_of(two, [one, two, other], spec) == [one, two]
    for chosen in ([one], [one, two, two], []):
        with pytest.raises(UserError, match="the model takes 2 channels: select"):
            channels_of(one, chosen, spec)
    assert channels_of(one, [one, two], SimpleNamespace(in_channels=1)) == [one]
    color = layer(np.zeros((3, 4, 3)), rgb=True)
    assert channels_of(color, [one], SimpleNamespace(in_channels=3, takes_grey=False)) == [color]


def test_a_model_of_images_finds_objects_of_a_stack_plane_by_plane():
    found, notes = find(se.load("nuclei"), [layer(stack())])
    assert found.label_map.shape == (3, 96, 96)
    assert len(found) == 2
    assert (found.label_map[0] == found.label_map[2]).mean() > 0.99
    assert "one by one" in notes[0]
    flat, nothing = find(se.load("nuclei"), [layer(stack()[0])])
    assert (len(flat), flat.label_map.shape, nothing) == (2, (96, 96), [])


@pytest.mark.parametrize("shape", [(2, 3, 40, 40), (40,)])
def test_what_is_neither_image_nor_stack_is_refused(shape):
    with pytest.raises(UserError, match=f"a has {len(shape)} axes.*split channels and times"):
        find(se.load("nuclei"), [layer(np.zeros(shape))])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet",
        {"widths": [4, 4], "blocks": [1, 1]},
        in_channels=1,
        dims=3,
        pitch=(0.01, 0.01, 0.02),
        spacing=(0.4, 0.2, 0.2),
    )
    run = tmp_path_factory.mktemp("volumes") / "run"
    save_model(run / "model.safetensors", spec.build(), spec)
    return se.load(run)


def test_other_proportions_are_told(model):
    data = np.random.default_rng(0).integers(0, 255, (6, 24, 28)).astype(np.uint8)
    for scale, told in (((4, 2.1, 2), 0), (None, 0), ((1.0, 0.9, 1.0), 1)):
        found, notes = find(model, [layer(data, scale=scale)])
        assert found.label_map.shape == data.shape
        assert len(notes) == told
    assert "its voxels are 1 x 0.9 x 1 µm (z, y, x), those of training 0.4 x 0.2 x 0.2" in notes[0]


def test_an_image_is_none_of_a_model_of_volumes(model):
    for data, rgb in ((np.zeros((20, 20)), False), (np.zeros((20, 20, 3), np.uint8), True)):
        with pytest.raises(UserError, match=r"a is an image, and .*run is of volumes: select a"):
            find(model, [layer(data, rgb=rgb)])


def test_grey_in_color_and_narrow_stacks_are_volumes(model):
    data = np.random.default_rng(0).integers(0, 255, (6, 24, 28)).astype(np.uint8)
    color = find(model, [layer(np.stack([data] * 4, -1), rgb=True)])[0]
    np.testing.assert_array_equal(color.label_map, find(model, [layer(data)])[0].label_map)
    assert find(model, [layer(np.zeros((20, 20, 3), np.uint8))])[0].label_map.shape == (20, 20, 3)
    with pytest.raises(UserError, match="expects 1 channel, a has 3"):
        find(model, [layer(np.random.default_rng(0).random((6, 24, 28, 3)), rgb=True)])

"""The widget as napari makes it, on a viewer without a window; skipped without napari."""

import os
import time

import numpy as np
import pytest
import torch

import spatialembed as se
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
napari = pytest.importorskip("napari")


@pytest.fixture(scope="module")
def application():
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture
def viewer(application):
    return napari.components.ViewerModel()


def blobs(side=128):
    y, x = np.indices((side, side))
    image = np.full((side, side), 30, np.uint8)
    for cy, cx in ((30, 40), (90, 50), (60, 100)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 110] = 200
    return image


def widget_of(viewer):
    """The widget that the manifest names."""
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    [widget] = manager.get_manifest("spatialembed").contributions.widgets
    return widget.get_callable()(napari_viewer=viewer)


def wait_for(condition, seconds=240):
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.05)
    assert condition()


def test_finds_trains_from_a_correction_and_uses_the_better_model(viewer):
    widget = widget_of(viewer)
    viewer.add_image(blobs(), name="cells")
    widget.find_button.click()
    labels = viewer.layers["cells instances"]
    assert labels.data.max() == 3
    assert labels.selected_label == 4  # painting begins an object

    widget.train_button.click()
    assert "nothing is painted" in widget.said.text()

    labels.data[labels.data == 1] = 0
    labels.data[20:40, 30:50] = 7
    widget.length = {"steps": 2}
    widget.train_button.click()
    assert widget.process is not None
    wait_for(lambda: widget.process is None)
    assert "Trained" in widget.said.text(), widget.said.text()
    assert widget.model.text() != "nuclei"
    viewer.layers.selection = {viewer.layers["cells"]}
    assert widget.find_instances().data.shape == (128, 128)


def test_a_layer_that_the_user_began_is_trained_from_too(viewer):
    widget = widget_of(viewer)
    viewer.add_image(blobs(), name="cells")
    viewer.add_image(np.zeros((64, 64)), name="of another size")
    painted = (blobs() > 100).astype(int)
    viewer.add_labels(painted, name="mine")
    [one] = widget._painted(se.load("nuclei"))
    np.testing.assert_array_equal(one.labels, painted)
    assert one.image.max() == 200
    assert one.touched().sum() == (painted > 0).sum()

    other = viewer.add_image(blobs() // 2, name="another")
    widget.train_button.click()
    assert "mine could be painted on any of 2 images" in widget.said.text()
    viewer.layers.selection = {other, viewer.layers["mine"]}
    [one] = widget._painted(se.load("nuclei"))
    assert one.image.max() == 100


def test_training_is_told_how_large_pixels_are_where_the_layer_knows(viewer):
    widget, model = widget_of(viewer), se.load("nuclei")
    image = viewer.add_image(blobs(), name="cells", scale=(0.5, 0.5))
    viewer.add_labels((blobs() > 100).astype(int), name="mine")
    assert [one.steps for one in widget._painted(model)] == [None]  # in pixels
    image.units = ("um", "um")
    assert [one.steps for one in widget._painted(model)] == [pytest.approx((0.5, 0.5))]
    viewer.layers.clear()
    image = viewer.add_image(np.stack([blobs()] * 4), name="stack", scale=(2, 0.5, 0.5))
    image.units = ("um",) * 3
    painted = np.zeros((4, 128, 128), int)
    painted[1] = blobs() > 100
    viewer.add_labels(painted, name="mine")
    assert [one.steps for one in widget._painted(model)] == [pytest.approx((0.5, 0.5))]


def test_a_pyramid_and_grey_in_color_with_alpha(viewer):
    widget = widget_of(viewer)
    color = np.repeat(blobs()[..., None], 4, 2)
    color[..., 3] = 255
    viewer.add_image([color, color[::2, ::2]], name="cells", rgb=True, multiscale=True)
    assert widget.find_instances().data.shape == (128, 128)
    viewer.layers["cells instances"].data[:45] = 0
    [one] = widget._painted(se.load("nuclei"))
    assert one.image.shape == (128, 128)
    assert one.touched().sum() == 0


def test_says_what_is_missing(viewer):
    widget = widget_of(viewer)
    widget.find_button.click()
    assert "no image layer" in widget.said.text()
    viewer.add_image(np.zeros((2, 3, 20, 20)), name="times")
    with pytest.raises(UserError, match="times has 4 axes"):
        widget.find_instances()
    widget.model.setText("nowhere")
    viewer.layers.clear()
    viewer.add_image(blobs(), name="cells")
    widget.find_button.click()
    assert "there is no model at nowhere" in widget.said.text()


def spheres(shape=(12, 48, 56), spacing=(2.0, 1.0, 1.0)):
    place = np.stack(np.indices(shape), -1) * spacing
    image = np.full(shape, 30, np.uint8)
    for center in ((12, 14, 14), (10, 32, 20), (13, 24, 40)):
        image[((place - center) ** 2).sum(-1) < 64] = 200
    return image


@pytest.fixture(scope="module")
def volumes_model(tmp_path_factory):
    """Models that know nothing yet, by how many channels they take."""
    runs = {}
    for channels in (1, 2):
        torch.manual_seed(0)
        spec = ModelSpec(
            "residual_unet",
            {"widths": [4, 4], "blocks": [1, 1]},
            in_channels=channels,
            n_sigma=3,
            dims=3,
            pitch=(0.01, 0.01, 0.02),
            spacing=(2.0, 1.0, 1.0),
            object_diameter=16.0,
        )
        runs[channels] = tmp_path_factory.mktemp("volumes") / "run"
        save_model(runs[channels] / "model.safetensors", spec.build(), spec)
    return runs


def test_finds_and_trains_on_volumes(viewer, volumes_model):
    widget = widget_of(viewer)
    widget.model.setText(str(volumes_model[1]))
    image = viewer.add_image(spheres(), name="cells", scale=(0.5, 0.25, 0.25), translate=(1, 2, 3))
    image.units = ("um",) * 3
    widget.find_button.click()
    labels = viewer.layers["cells instances"]
    assert labels.data.shape == image.data.shape
    np.testing.assert_allclose(labels.scale, image.scale)
    np.testing.assert_allclose(labels.translate, image.translate)
    assert labels.units == image.units
    assert labels.n_edit_dimensions == 3
    assert "its voxels are" not in widget.said.text()

    truth = np.random.default_rng(0).permutation(20)[:3] + 1000
    for value, (z, y, x) in zip(truth, ((6, 14, 14), (5, 32, 20), (6, 24, 40)), strict=True):
        labels.selected_label = value
        labels.brush_size = 12
        labels.paint((z, y, x), value)
    [one] = widget._painted(se.load(volumes_model[1]))
    assert one.spacing == pytest.approx((0.5, 0.25, 0.25))
    assert set(np.unique(one.mask())) >= {0, *truth}
    painted = [(labels.data == value).any((1, 2)).sum() for value in truth]
    assert min(painted) >= 5  # a ball in micrometres, not a disc in a plane
    widget.length = {"steps": 6}
    widget.train_button.click()
    assert widget.process is not None, widget.said.text()
    wait_for(lambda: widget.process is None)
    assert "Trained" in widget.said.text(), widget.said.text()
    assert "few volumes: learning carefully" in " ".join(widget._said.split())
    viewer.layers.selection = {image}
    assert widget.find_instances().data.shape == image.data.shape


def test_a_layer_of_another_scale_is_warned_of(viewer, volumes_model):
    widget = widget_of(viewer)
    widget.model.setText(str(volumes_model[1]))
    viewer.add_image(spheres(), name="cells", scale=(0.5, 0.5, 0.5))
    widget.find_button.click()
    assert "cells: its voxels are 0.5 x 0.5 x 0.5" in widget.said.text()


def test_channels_that_napari_split_are_one_volume(viewer, volumes_model):
    widget = widget_of(viewer)
    widget.model.setText(str(volumes_model[2]))
    both = np.stack([spheres(), 255 - spheres()])
    one, two = viewer.add_image(both, channel_axis=0, name=["red", "green"])
    viewer.layers.selection = {two}
    widget.find_button.click()
    assert "takes 2 channels: select the image layers" in widget.said.text()
    viewer.layers.selection = {one, two}
    labels = widget.find_instances()
    labels.data[2:5, 3:9, 3:9] = 99
    [painted] = widget._painted(se.load(volumes_model[2]))
    np.testing.assert_array_equal(painted.image, np.moveaxis(both, 0, -1))
    mine = viewer.add_labels((spheres() > 100).astype(int), name="mine")  # of the user's own
    viewer.layers.selection = {mine, one, two}
    [painted] = widget._painted(se.load(volumes_model[2]))
    assert painted.found is None
    np.testing.assert_array_equal(painted.image, np.moveaxis(both, 0, -1))


def test_stacks_and_images_for_the_other_kind_of_model(viewer, volumes_model):
    widget = widget_of(viewer)
    viewer.add_image(np.stack([blobs()] * 4), name="stack")
    labels = widget.find_instances()
    assert labels.data.shape == (4, 128, 128)
    assert labels.data.max() == 3
    assert "one by one" in widget.said.text()
    labels.data[1][labels.data[1] == 1] = 0
    [plane] = widget._painted(se.load("nuclei"))
    assert plane.image.shape == (128, 128)

    viewer.layers.clear()
    viewer.add_image(blobs(64), name="cells")
    viewer.add_labels(np.ones((64, 64), np.int32), name="mine")
    widget.model.setText(str(volumes_model[1]))
    widget.find_button.click()
    assert "cells is an image, and" in widget.said.text()
    widget.train_button.click()
    assert widget.process is None
    assert "mine is an image, and" in widget.said.text()

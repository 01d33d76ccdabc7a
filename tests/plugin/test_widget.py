"""The widget as napari makes it, on a viewer without a window; skipped without napari."""

import os
import time

import numpy as np
import pytest

import spatialembed as se
from spatialembed.errors import UserError

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


def test_a_pyramid_and_grey_in_color_with_alpha(viewer):
    widget = widget_of(viewer)
    color = np.repeat(blobs()[..., None], 4, 2)
    color[..., 3] = 255
    viewer.add_image([color, color[::2, ::2]], name="cells", rgb=True, multiscale=True)
    assert widget.find_instances().data.shape == (128, 128)
    viewer.add_labels(np.zeros((4, 128, 128), int), name="a stack")
    viewer.layers["cells instances"].data[:45] = 0
    [one] = widget._painted(se.load("nuclei"))
    assert one.image.shape == (128, 128)
    assert one.touched().sum() == 0


def test_says_what_is_missing(viewer):
    widget = widget_of(viewer)
    widget.find_button.click()
    assert "no image layer" in widget.said.text()
    viewer.add_image(np.zeros((3, 20, 20)), name="stack")
    with pytest.raises(UserError, match="single 2D image"):
        widget.find_instances()
    widget.model.setText("nowhere")
    viewer.layers.clear()
    viewer.add_image(blobs(), name="cells")
    widget.find_button.click()
    assert "there is no model at nowhere" in widget.said.text()


def test_volumes_are_refused_in_a_sentence(viewer, tmp_path):
    import torch

    from spatialembed.models.checkpoint import save_model
    from spatialembed.models.spec import ModelSpec

    widget = widget_of(viewer)
    viewer.add_image(blobs(64), name="cells")
    viewer.add_labels(np.ones((3, 64, 64), np.int32), name="nuclei")
    widget.train_button.click()
    assert widget.process is None
    assert "nuclei is painted on a volume" in widget.said.text()
    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet", {"widths": [4, 4], "blocks": [1, 1]}, dims=3, pitch=(0.01, 0.01, 0.01)
    )
    save_model(tmp_path / "run" / "model.safetensors", spec.build(), spec)
    widget.model.setText(str(tmp_path / "run"))
    widget.find_button.click()
    assert "is of volumes" in widget.said.text()

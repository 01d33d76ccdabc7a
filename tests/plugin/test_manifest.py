"""What the manifest names is there, and napari opens the sample data; skipped without napari."""

import os

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
napari = pytest.importorskip("napari")


@pytest.fixture(scope="module")
def manifest():
    from npe2 import PluginManager
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])  # before any widget, and kept
    manager = PluginManager.instance()
    manager.discover()
    yield manager.get_manifest("spatialembed")
    del application


def test_all_that_it_names_can_be_imported(manifest) -> None:
    manifest.validate_imports()


def test_sample_data_are_drawn_when_they_are_opened(manifest) -> None:
    viewer = napari.components.ViewerModel()
    for sample in manifest.contributions.sample_data:
        viewer.open_sample("spatialembed", sample.key)
    shapes = {layer.name: layer.data.shape for layer in viewer.layers}
    assert shapes == {
        "nuclei": (256, 256),
        "street scene": (512, 1024, 3),
        "stack of nuclei": (32, 96, 96),
    }
    assert all(np.ptp(layer.data) > 100 for layer in viewer.layers)
    assert viewer.layers["street scene"].rgb
    assert viewer.layers["stack of nuclei"].scale.tolist() == [0.4, 0.15, 0.15]

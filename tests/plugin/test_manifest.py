"""What the manifest names is there, and napari opens the sample data; skipped without napari."""

import os

import numpy as np
import pytest
import tifffile

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


def test_a_folder_of_tracks_is_opened_as_labels_and_tracks(manifest, tmp_path) -> None:
    folder = tmp_path / "tracks"
    folder.mkdir()
    for t, cells in enumerate(([1, 1], [2, 3])):
        label_map = np.repeat(np.array(cells, np.uint16), 4).reshape(2, 4)
        tifffile.imwrite(folder / f"t{t}.tif", label_map, photometric="minisblack")
    rows = ["id,frame,label,y,x,area,parent", "1,0,1,0.5,1.5,8,0", "2,1,1,0,1.5,4,1"]
    (folder / "tracks.csv").write_text("\n".join([*rows, "3,1,2,1,1.5,4,1", ""]))
    viewer = napari.components.ViewerModel()
    viewer.open(str(folder), plugin="spatialembed")
    assert [layer.name for layer in viewer.layers] == ["tracks labels", "tracks tracks"]
    assert viewer.layers[0].data.tolist() == [[[1] * 4] * 2, [[2] * 4, [3] * 4]]
    assert viewer.layers[1].graph == {2: [1], 3: [1]}

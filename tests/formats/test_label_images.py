"""Label images read back as what was written, by the readers other people use."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed import errors
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import read_mask, stack_spacing
from spatialembed.formats.label_images import save_label_png, save_label_tiff


@pytest.mark.parametrize(
    ("highest", "dtype"),
    [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "uint32")],
)
@pytest.mark.parametrize("shape", [(5, 6), (3, 5, 6), (5, 6, 3), (3, 4)])
def test_tiff_holds_any_label_in_the_smallest_type(tmp_path, shape, highest, dtype):
    label_map = np.zeros(shape, np.int32)
    label_map[-1, -1] = highest
    save_label_tiff(tmp_path / "new" / "x.tif", label_map)
    read = tifffile.imread(tmp_path / "new" / "x.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, label_map)


@pytest.mark.parametrize("highest", [255, 256, 65536])
def test_a_volume_states_its_spacing_in_any_type(tmp_path, highest):
    label_map = np.zeros((3, 5, 6), np.int32)
    label_map[-1, -1] = highest
    save_label_tiff(tmp_path / "x.tif", label_map, (0.4, 0.13, 0.1501))
    assert stack_spacing(tmp_path / "x.tif") == pytest.approx((0.4, 0.13, 0.1501), rel=1e-5)
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert (file.is_imagej, file.is_ome) == (highest < 65536, highest == 65536)
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray(), label_map)
        assert file.asarray().dtype == np.min_scalar_type(highest)


@pytest.mark.parametrize("highest", [29, 300, 70_000])
def test_an_image_states_its_pixel_size(tmp_path, highest):
    label_map = np.linspace(0, highest, 30, dtype=np.int32).reshape(5, 6)
    save_label_tiff(tmp_path / "x.tif", label_map, (0.25, 0.127))
    assert pixel_size(tmp_path / "x.tif") == (0.25, 0.127)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), label_map)
    save_label_tiff(tmp_path / "x.tif", label_map)
    assert pixel_size(tmp_path / "x.tif") is None


@pytest.mark.parametrize("spacing", [(0.5, 1.0), (1.0, 0.5), (1.0, 1.0, 0.5), (2.0, 1.0, 1.0)])
def test_sides_of_one_micrometre_are_stated_too(tmp_path, spacing):
    """ImageJ's TIFFs say them as those do which say nothing."""
    save_label_tiff(tmp_path / "x.tif", np.ones((2, 5, 6)[-len(spacing) :], np.int32), spacing)
    read = pixel_size if len(spacing) == 2 else stack_spacing
    assert read(tmp_path / "x.tif") == spacing


def test_png_has_16_bits(tmp_path):
    label_map = np.arange(65536, dtype=np.int32).reshape(256, 256)
    save_label_png(tmp_path / "x.png", label_map)
    read = np.array(Image.open(tmp_path / "x.png"))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, label_map)


def test_png_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(errors.UserError, match=r"x\.png cannot hold label 65536.*TIFF"):
        save_label_png(tmp_path / "x.png", np.full((2, 2), 65536))
    with pytest.raises(ValueError, match="write a TIFF"):
        save_label_png(tmp_path / "x.png", np.zeros((2, 2, 2), np.int32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labels", [np.full((2, 2), -1), np.full((2, 2), 2**32), np.zeros((2, 2))])
def test_labels_no_file_holds_are_refused(tmp_path, labels):
    for save in (save_label_png, save_label_tiff):
        with pytest.raises(ValueError, match="labels"):
            save(tmp_path / "x", labels)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.tif"
    save_label_tiff(path, np.full((2, 2), 7))

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(errors.UserError, match="No space left"):
        save_label_tiff(path, np.zeros((2, 2), np.int32))
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]
    assert (tifffile.imread(path) == 7).all()

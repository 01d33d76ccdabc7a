import numpy as np
import pytest
import tifffile

import spatialembed as se
from spatialembed.cli.options import read_recipe
from spatialembed.data import open_data
from spatialembed.errors import UserError
from spatialembed.plugin.painted import RIM, Painted, write_data, write_recipe
from spatialembed.training.prepare import gather


def squares(*corners, side=8):
    labels = np.zeros((60, 80), np.int32)
    for k, (y, x) in enumerate(corners):
        labels[y : y + side, x : x + side] = k + 1
    return labels


IMAGE = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)


def test_paint_without_a_model_is_known_with_its_rim_alone():
    labels = squares((10, 10))
    ignore = Painted(IMAGE, labels).ignore()
    assert not ignore[labels > 0].any()
    assert not ignore[10 - RIM, 12]
    assert ignore[10 - RIM - 1, 12]
    assert ignore[40, 40]


def test_an_image_that_nobody_touched_is_ignored_to_its_corners(tmp_path):
    found = squares((10, 10), (30, 30))
    for labels, asked in ((np.zeros_like(found), None), (found, found)):
        assert Painted(IMAGE, labels, asked).ignore().all()
    write_data(tmp_path, [Painted(IMAGE, squares((20, 20))), Painted(IMAGE, found, found)])
    touched, untouched = open_data(tmp_path, "train")
    assert touched.label_mask.any()
    assert not touched.ignore.all()
    assert not untouched.label_mask.any()
    assert untouched.ignore.all()


def test_an_object_that_was_erased_alone_is_all_that_is_known():
    found = squares((10, 10), (30, 30))
    labels = np.where(found == 1, 0, found)
    np.testing.assert_array_equal(Painted(IMAGE, labels, found).ignore(), found != 1)


def test_found_objects_that_were_left_alone_are_not_used(tmp_path):
    found = squares((10, 10), (30, 30), (10, 50))
    labels = found.copy()
    labels[10:18, 18:20] = 1  # the first is enlarged
    labels[found == 3] = 0  # the third is erased
    painted = Painted(IMAGE, labels, found)
    ignore = painted.ignore()
    assert not ignore[labels == 1].any()
    assert ignore[labels == 2].all()
    assert not ignore[found == 3].any()
    write_data(tmp_path, [painted])
    for split in ("train", "val"):
        [sample] = [open_data(tmp_path, split)[0]]
        np.testing.assert_array_equal(sample.image[..., 0], IMAGE)
        np.testing.assert_array_equal(sample.label_mask, np.where(labels == 1, 1, 0))
        np.testing.assert_array_equal(sample.ignore, ignore)


def test_objects_that_lost_pixels_were_corrected_too():
    found = squares((10, 10), (30, 30), (10, 50))
    labels = found.copy()
    labels[10:12, 10:18] = 0  # trimmed
    labels[30:34, 30:38] = 9  # split in two
    painted = Painted(IMAGE, labels, found)
    np.testing.assert_array_equal(painted.touched(), (labels > 0) & (found != 3))
    assert not painted.ignore()[10:12, 10:18].any()


def test_a_neighbour_that_was_left_alone_is_no_background():
    found = squares((10, 10), (10, 19))
    labels = found.copy()
    labels[18, 10:18] = 1
    assert Painted(IMAGE, labels, found).ignore()[labels == 2].all()


def test_complete_images_are_known_everywhere_with_all_their_objects(tmp_path):
    found = squares((10, 10), (30, 30))
    painted = Painted(IMAGE, found, found, complete=True)
    assert not painted.ignore().any()
    write_data(tmp_path, [painted])
    assert open_data(tmp_path, "train")[0].label_mask.max() == 2


def test_nothing_painted_and_sizes_that_differ_are_refused(tmp_path):
    found = squares((10, 10))
    with pytest.raises(UserError, match="nothing is painted"):
        write_data(tmp_path, [Painted(IMAGE, found, found)])
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="different sizes"):
        Painted(IMAGE[:50], found)


def test_color_images_keep_their_channels(tmp_path):
    image = np.stack([IMAGE.astype(np.uint8)] * 3, axis=2)
    write_data(tmp_path, [Painted(image, squares((5, 5)))])
    assert tifffile.imread(tmp_path / "train" / "images" / "000.tif").shape == (60, 80, 3)
    assert open_data(tmp_path, "train")[0].image.shape == (60, 80, 3)


def test_the_recipe_goes_on_with_the_model_at_its_magnification(tmp_path):
    spec = se.load("nuclei").spec
    painted = [
        Painted(IMAGE, squares((10, 10))),
        Painted(IMAGE, squares((5, 5), (30, 30), side=20)),
    ]
    write_data(tmp_path / "data", painted)
    write_recipe(tmp_path / "recipe.yaml", spec, 1.5, painted, {"steps": 3})
    config = read_recipe(
        tmp_path / "recipe.yaml", tmp_path / "data", f"--out={tmp_path / 'run'}", "--init=nuclei"
    )
    assert config.refine == spec.refine
    assert config.stages[0].steps == 3
    found = gather(config).spec
    assert found.zoom == pytest.approx(1.5, rel=1e-2)
    assert found.network_options == spec.network_options
    assert found.normalization == spec.normalization

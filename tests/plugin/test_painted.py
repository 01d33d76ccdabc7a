import numpy as np
import pytest
import tifffile

import spatialembed as se
from spatialembed.cli.options import prepared, train_config, train_parser
from spatialembed.data import open_data
from spatialembed.errors import UserError
from spatialembed.plugin.painted import RIM, Painted, training_command, write_data
from spatialembed.training.few_images.careful import is_careful
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
    touched, untouched = open_data(tmp_path, "train", holdout=0)
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
    sample = open_data(tmp_path, "train")[0]
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


@pytest.mark.parametrize(("diameter", "shown"), [(None, None), (40, 21 / 40)])
def test_the_command_learns_carefully_at_the_magnification_that_was_set(tmp_path, diameter, shown):
    model = se.load("nuclei", diameter=diameter)
    painted = [
        Painted(IMAGE, squares((10, 10))),
        Painted(IMAGE, squares((5, 5), (30, 30), side=20)),
    ]
    write_data(tmp_path / "data", painted)
    out = tmp_path / "run"
    command = training_command("nuclei", model, painted, tmp_path / "data", out, steps=3)
    assert command[1:4] == ["-m", "spatialembed", "train"]
    parser = train_parser()
    config = train_config(parser.instantiate(parser.parse_args(prepared(command[4:]))))
    assert is_careful(config)
    assert (config.steps, config.out, config.classes) == (3, out, ["nucleus"])
    if shown is None:
        assert config.diameter is None
    else:  # the network sees the median painted object as large as it sees one in the viewer
        assert gather(config, hold_out=False).spec.zoom == pytest.approx(shown, rel=1e-2)


def test_painted_images_are_training_images_alone(tmp_path):
    write_data(tmp_path, [Painted(IMAGE, squares((10, 10)))])
    assert [path.name for path in tmp_path.iterdir()] == ["train"]

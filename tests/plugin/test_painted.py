import numpy as np
import pytest
import tifffile

import spatialembed as se
from spatialembed.cli.options import prepared, read_recipe, train_config, train_parser
from spatialembed.data import open_data
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import stack_spacing
from spatialembed.errors import UserError
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.plugin.painted import RIM, Painted, training_command, write_data
from spatialembed.training.few_images.careful import careful, is_careful
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


@pytest.mark.parametrize("channels", [(), (2,), (3,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_state_how_large_their_pixels_are_and_the_model_knows_it(
    tmp_path, channels, dtype
) -> None:
    image = np.random.default_rng(0).integers(0, 200, (60, 80, *channels)).astype(dtype)
    painted = Painted(image, squares((5, 5), (30, 40)), pixel_size=(0.25, 0.25))
    write_data(tmp_path / "data", [painted])
    for part in ("images", "masks"):
        file = tmp_path / "data" / "train" / part / "000.tif"
        assert pixel_size(file) == pytest.approx((0.25, 0.25))
    sample = open_data(tmp_path / "data", "train")[0]
    np.testing.assert_array_equal(sample.image, image.reshape(60, 80, -1))
    config = read_recipe("nuclei", tmp_path / "data", f"--out={tmp_path}")
    assert gather(config, hold_out=False).spec.pixel_size == pytest.approx(0.25)


def test_planes_of_a_stack_state_it_too(tmp_path) -> None:
    labels = np.stack([squares((5, 5)), squares((9, 9))])
    stack = Painted(np.stack([IMAGE] * 2), labels, spacing=(2, 1, 1), pixel_size=(0.25, 0.25))
    planes = list(stack.planes())
    assert [plane.steps for plane in planes] == [(0.25, 0.25)] * 2
    assert stack.steps == (2, 1, 1)


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


def ball(shape, center, radius, spacing=(1.0, 1.0, 1.0)):
    place = np.indices(shape).reshape(3, -1).T - center
    return (np.linalg.norm(place * spacing, axis=1) <= radius).reshape(shape)


def test_the_rim_of_an_object_in_a_volume_is_as_wide_in_micrometres_along_each_axis():
    """By loops: what is near is what has a painted voxel within the rim."""
    shape, spacing = (9, 24, 26), (0.5, 0.25, 0.25)
    labels = np.where(ball(shape, (4, 11, 12), 1.3, spacing), 5, 0)
    labels[:3, 2:4, 20:25] = 8
    ignore = Painted(np.zeros(shape), labels, spacing=spacing).ignore()
    steps = np.array(spacing) / 0.25
    inside = np.argwhere(labels)
    near = [
        np.sqrt((((np.array(place) - inside) * steps) ** 2).sum(1)).min() <= RIM
        for place in np.ndindex(shape)
    ]
    np.testing.assert_array_equal(ignore, ~np.reshape(near, shape))
    cubes = Painted(np.zeros(shape), labels).ignore()
    assert cubes.sum() < ignore.sum()


def test_an_object_ends_in_the_next_plane_however_far_that_lies():
    labels = np.zeros((6, 20, 20), int)
    labels[2:4, 8:12, 8:12] = 1
    ignore = Painted(np.zeros(labels.shape), labels, spacing=(5.0, 0.2, 0.2)).ignore()
    assert not ignore[1:5, 8:12, 8:12].any()
    assert ignore[[0, 5]].all()
    assert ignore[1].sum() == 400 - 16  # no rim of the rim
    assert not ignore[2, 8 - RIM : 12 + RIM, 10].any()


@pytest.mark.parametrize("planes", [[3], [2, 5]])
def test_above_and_below_an_object_painted_in_single_planes_nobody_knows(planes):
    labels = np.zeros((8, 30, 40), int)
    labels[planes, 10:16, 10:16] = 4
    alone = Painted(np.zeros(labels.shape), labels).ignore()
    others = [z for z in range(8) if z not in planes]
    assert alone[others].all()
    assert not alone[planes, 10 - RIM : 16 + RIM, 12].any()
    labels[1:7, 10:16, 18:22] = 9  # whole, and so near that its rim goes over the other
    both = Painted(np.zeros(labels.shape), labels).ignore()
    assert not both[labels > 0].any()
    assert both[others][:, 10 - RIM : 16 + RIM, 10:18].all()
    assert not both[1:7, 12, 22 : 22 + RIM].any()


def test_a_volume_that_nobody_touched_is_ignored_to_its_corners():
    found = np.zeros((7, 9, 11), int)
    found[2:4, 2:5, 3:6] = 1
    image = np.zeros(found.shape)
    for labels, asked in ((np.zeros_like(found), None), (found, found)):
        assert Painted(image, labels, asked, spacing=(0.4, 0.1, 0.1)).ignore().all()
    erased = Painted(image, np.zeros_like(found), found)
    np.testing.assert_array_equal(erased.ignore(), found == 0)
    assert not Painted(image, found, found, complete=True).ignore().any()


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "bool"])
@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_volumes_are_written_as_a_data_set_of_volumes(tmp_path, dtype, channels):
    shape = (6, 20, 24)
    image = (np.arange(np.prod((*shape, *channels))) % 7).reshape(*shape, *channels).astype(dtype)
    found = np.zeros(shape, int)
    found[1:4, 3:8, 3:8] = 300
    found[1:4, 12:16, 12:16] = 2
    labels = found.copy()
    labels[1:4, 8, 3:8] = 300
    painted = Painted(image, labels, found, spacing=(0.5, 0.2, 0.2))
    write_data(tmp_path, [painted])
    data = open_data(tmp_path, "train", holdout=0)
    [sample] = [data[0]]
    assert data.dims == 3
    assert sample.image.dtype == dtype
    np.testing.assert_array_equal(sample.image, image.reshape(*shape, -1))
    np.testing.assert_array_equal(sample.label_mask, np.where(labels == 300, 300, 0))
    np.testing.assert_array_equal(sample.ignore, painted.ignore())
    stated = None if dtype in ("int64", "float16", "bool") else pytest.approx((0.5, 0.2, 0.2))
    assert stack_spacing(tmp_path / "train" / "images" / "000.tif") == stated


def test_planes_of_a_stack_are_images_to_a_model_of_images():
    labels = np.zeros((4, 60, 80), int)
    labels[:, 10:20, 10:20] = 3
    found = labels.copy()
    labels[2, 30:40, 30:40] = 4
    image = np.stack([IMAGE + z for z in range(4)])
    [plane] = Painted(image, labels, found).planes()
    np.testing.assert_array_equal(plane.image, image[2])
    np.testing.assert_array_equal(plane.touched(), labels[2] == 4)
    assert len(list(Painted(image, labels, found, complete=True).planes())) == 4
    labels[1] = 0  # an object that was erased alone, too
    assert len(list(Painted(image, labels, found).planes())) == 2


def test_the_command_for_volumes_learns_carefully_from_them(tmp_path):
    spec = ModelSpec(
        "residual_unet",
        {"widths": [4, 4], "blocks": [1, 1]},
        in_channels=1,
        n_sigma=3,
        dims=3,
        pitch=(0.01, 0.01, 0.01),
        object_diameter=20.0,
    )
    save_model(tmp_path / "start" / "model.safetensors", spec.build(), spec)
    start, data = str(tmp_path / "start"), tmp_path / "data"
    model = se.load(start, diameter=10)
    labels = np.zeros((20, 40, 40), int)
    for k in range(3):
        labels[ball(labels.shape, (10, 10, 8 + 12 * k), 4.6)] = k + 1
    painted = [Painted(labels.astype(np.uint8), labels)]
    write_data(data, painted)
    command = training_command(start, model, painted, data, tmp_path / "run", steps=3)
    parser = train_parser()
    config = train_config(parser.instantiate(parser.parse_args(prepared(command[4:]))))
    assert is_careful(config)
    ready = careful(config, spec)
    assert ready.dims == 3
    zoom = gather(ready, hold_out=False).spec.zoom  # of objects half as wide as it knows them
    assert zoom == pytest.approx(2, rel=1e-2)

"""Label folders whose masks are stacks."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data import check_data, open_data
from spatialembed.data.index import object_index
from spatialembed.data.layouts.label_folder import scan
from spatialembed.data.mixture import mixed
from spatialembed.errors import UserError


def write(path, voxels, axes="ZYX"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, voxels, photometric="minisblack", metadata={"axes": axes})


def volume(shape=(4, 6, 9), label=5):
    mask = np.zeros(shape, np.uint16)
    mask[1:3, 2:4, 3:6] = label
    return mask


def folder(root, names="abcdefgh", split="train", shape=(4, 6, 9)):
    for number, name in enumerate(names, start=1):
        mask = volume(shape, number)
        write(root / split / "images" / f"{name}.tif", (mask > 0).astype(np.uint8) * 200)
        write(root / split / "masks" / f"{name}.tif", mask)
    return root


def test_masks_that_are_stacks_make_volumes(tmp_path) -> None:
    data = open_data(folder(tmp_path), holdout=0)
    assert data.dims == 3
    assert data.names == list("abcdefgh")
    for number in range(8):
        sample = data[number]
        assert sample.image.shape == (4, 6, 9, 1)
        assert sample.label_mask.dtype == np.int32
        np.testing.assert_array_equal(sample.label_mask, volume(label=number + 1))
        np.testing.assert_array_equal(sample.class_map, np.where(sample.label_mask > 0, 0, -1))
        assert not sample.ignore.any()
        np.testing.assert_array_equal(data.truth(number).label_mask, sample.label_mask)
        assert data.large(number) is None


@pytest.mark.parametrize("split", ["", "train"])
def test_cellpose_names_and_no_split(tmp_path, split) -> None:
    for number in (1, 2, 3):
        write(tmp_path / split / f"x{number}.tif", volume() * 50)
        write(tmp_path / split / f"x{number}_masks.tif", volume(label=number))
    data = open_data(tmp_path, holdout=0)
    assert (data.dims, data.names) == (3, ["x1", "x2", "x3"])
    assert [int(data[i].label_mask.max()) for i in range(3)] == [1, 2, 3]


def test_channels_of_volumes_and_of_images(tmp_path) -> None:
    mask, image = volume(), np.random.default_rng(0).integers(0, 99, (4, 2, 6, 9), np.uint8)
    write(tmp_path / "images" / "a.tif", image, "ZCYX")
    write(tmp_path / "masks" / "a.tif", mask)
    sample = open_data(tmp_path, holdout=0)[0]
    np.testing.assert_array_equal(sample.image, np.moveaxis(image, 1, -1))
    write(tmp_path / "images" / "a.tif", image[0], "CYX")
    write(tmp_path / "masks" / "a.tif", mask[1], "YX")
    data = open_data(tmp_path, holdout=0)
    assert data.dims == 2  # several channels are no planes
    assert data[0].image.shape == (6, 9, 2)


def test_val_is_held_out_by_name(tmp_path) -> None:
    train, val = (open_data(folder(tmp_path), split) for split in ("train", "val"))
    assert val.names == ["d"]  # as of images
    assert sorted(train.names + val.names) == list("abcdefgh")
    assert train.slab is val.slab is None
    assert train.dims == val.dims == 3


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ((2, 4, 30), 0.15),
        ((3, 31, 7), 0.2),
        ((2, 11, 11), 0.5),
        ((9, 2, 3), 0.01),
        ((2, 4, 5), 0.99),
    ],
)
def test_slabs_of_a_single_volume_are_disjoint_and_cover_it(tmp_path, shape, share) -> None:
    mask = np.arange(1, np.prod(shape) + 1, dtype=np.uint16).reshape(shape)
    for kind in ("images", "masks", "ignore"):
        write(tmp_path / kind / "a.tif", mask % 2 if kind == "ignore" else mask)
    train, val = (open_data(tmp_path, split, holdout=share) for split in ("train", "val"))
    assert train.names == val.names == ["a"]
    parts = [data[0] for data in (train, val)]
    axis = 1 if shape[1] >= shape[2] else 2
    for name in ("image", "label_mask", "ignore", "class_map"):
        whole = getattr(open_data(tmp_path, holdout=0)[0], name)
        joined = np.concatenate([getattr(part, name) for part in parts], axis)
        np.testing.assert_array_equal(joined, whole)
    wanted = min(max(share * shape[axis], 1), shape[axis] - 1)
    assert parts[1].label_mask.shape[axis] == pytest.approx(wanted, abs=0.51)
    for data, part in zip((train, val), parts, strict=True):
        for one, other in zip(data.truth(0), part.truth(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert train.reading != val.reading


def test_no_slab_where_there_is_a_val_split_or_nothing_is_held_out(tmp_path) -> None:
    folder(folder(tmp_path, "a"), "v", "val")
    assert open_data(tmp_path)[0].label_mask.shape == (4, 6, 9)
    assert open_data(tmp_path, "val").names == ["v"]
    folder(tmp_path / "other", "a")
    assert open_data(tmp_path / "other", holdout=0)[0].label_mask.shape == (4, 6, 9)


def test_the_test_split_is_whole(tmp_path) -> None:
    folder(folder(tmp_path, "a"), "t", "test")
    assert open_data(tmp_path, "test")[0].label_mask.shape == (4, 6, 9)
    assert open_data(tmp_path, holdout=0.5)[0].label_mask.shape == (4, 6, 4)


def test_ignore_is_a_stack_beside_the_masks(tmp_path) -> None:
    unknown = np.zeros((4, 6, 9), np.uint8)
    unknown[2:, :, 4:] = 7
    write(folder(tmp_path, "ab") / "train" / "ignore" / "b.tif", unknown)
    data = open_data(tmp_path, holdout=0)
    assert not data[0].ignore.any()
    np.testing.assert_array_equal(data[1].ignore, unknown > 0)
    assert data[1].ignore.dtype == bool


def test_ids_above_2_to_31_are_numbered_anew(tmp_path) -> None:
    mask = volume().astype(np.int64) * 2**31
    mask[3, 0, 0] = 2
    write(tmp_path / "images" / "a.tif", volume())
    path = tmp_path / "masks" / "a.tif"
    path.parent.mkdir()
    tifffile.imwrite(
        path, mask.astype(np.uint32), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    found = open_data(tmp_path, holdout=0)[0].label_mask
    assert np.unique(found).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found == 2, volume() > 0)


@pytest.mark.parametrize("shape", [(4, 6, 8), (3, 6, 9), (4, 9, 6)])
def test_image_and_mask_of_different_sizes_are_refused(tmp_path, shape) -> None:
    write(folder(tmp_path, "ab") / "train" / "images" / "b.tif", volume(shape))
    data = open_data(tmp_path, holdout=0)
    with pytest.raises(UserError) as error:
        data[1]
    said = str(error.value)
    z, y, x = shape
    assert f"b.tif is {x}x{y}x{z}, its truth" in said
    assert "b.tif is 9x6x4" in said
    assert said.endswith("make them one size")
    assert "\n" not in said


def test_an_ignore_of_another_size_is_refused(tmp_path) -> None:
    write(folder(tmp_path, "ab") / "train" / "ignore" / "b.tif", volume((4, 6, 8)))
    with pytest.raises(UserError, match=r"ignore.* is 8x6x4|8x6x4.*ignore"):
        open_data(tmp_path, holdout=0)[1]


def test_a_volume_whose_image_is_a_plane_is_refused(tmp_path) -> None:
    write(folder(tmp_path, "ab") / "train" / "images" / "b.tif", volume()[1], "YX")
    with pytest.raises(UserError, match=r"b\.tif is no stack"):
        open_data(tmp_path, holdout=0)[1]


def test_a_mask_of_a_plane_among_stacks_is_refused(tmp_path) -> None:
    path = folder(tmp_path, "ab") / "train" / "masks" / "b.tif"
    write(path, volume()[1], "YX")
    with pytest.raises(UserError, match=r"b\.tif is no stack"):
        open_data(tmp_path, holdout=0)[1]
    write(path.with_name("a.tif"), volume()[1], "YX")
    write(path, volume())
    with pytest.raises(UserError, match=r"b\.tif is a stack"):
        open_data(tmp_path, holdout=0)[1]


def test_a_mixture_of_volumes_and_images_is_refused(tmp_path) -> None:
    images = tmp_path / "images"
    for kind in ("images", "masks"):
        (images / "train" / kind).mkdir(parents=True)
        Image.fromarray(volume()[1]).save(images / "train" / kind / "a.png")
    volumes = folder(tmp_path / "volumes", "abc")
    flat, deep = (open_data(root, holdout=0) for root in (images, volumes))
    for sets in ([flat, deep], [deep, flat]):
        with pytest.raises(UserError, match="holds volumes, the other images"):
            mixed(sets)
    other = open_data(folder(tmp_path / "more", "xy", shape=(2, 5, 7)), holdout=0)
    both = mixed([deep, other])
    assert both.dims == 3
    assert both[4].label_mask.shape == (2, 5, 7)


def test_a_slab_in_a_mixture_stays_one(tmp_path) -> None:
    one = folder(tmp_path / "one", "a", shape=(2, 4, 20))
    more = folder(tmp_path / "more", "xy", shape=(2, 5, 7))
    sets = [open_data(root, "train", holdout=0.25) for root in (one, more)]
    assert [data[0].label_mask.shape[2] for data in sets] == [5, 7]
    both = mixed(sets)
    assert both[0].label_mask.shape == (2, 4, 5)
    assert both.truth(0).label_mask.shape == (2, 4, 5)
    assert both.reading != mixed([scan(one, "train", None, 0), sets[1]]).reading


def test_a_slab_is_kept_by_a_choice_of_names(tmp_path) -> None:
    data = open_data(folder(tmp_path, "a"), "train", holdout=0.5)
    assert data.only({"a"})[0].label_mask.shape == (4, 6, 4)


def test_a_slab_holds_its_share_of_the_objects_wherever_they_lie(tmp_path) -> None:
    mask = np.zeros((4, 10, 50), np.uint16)
    mask[1:3, 2:8, 5:25] = np.repeat(np.arange(1, 11), 2)
    for kind in ("images", "masks"):
        write(tmp_path / kind / "a.tif", mask)
    train, val = (open_data(tmp_path, split, holdout=0.2)[0] for split in ("train", "val"))
    assert set(np.unique(val.label_mask)) == {0, 9, 10}
    assert set(np.unique(train.label_mask)) == {0, *range(1, 9)}


def planes(folder, voxels, numbers=None):
    for number, plane in zip(numbers or range(len(voxels)), voxels, strict=True):
        write(folder / f"z{number:02}.tif", plane, "YX")


@pytest.mark.parametrize("file", [False, True])
def test_a_folder_in_images_with_its_mask_is_a_volume(tmp_path, file) -> None:
    for number, name in enumerate(("v1.5um", "v2.5um"), start=1):
        mask = volume(label=number)
        planes(tmp_path / "train" / "images" / name, (mask > 0).astype(np.uint8) * 200)
        planes(tmp_path / "train" / "ignore" / name, (mask > 0) * np.uint8(number == 2))
        if file:
            write(tmp_path / "train" / "masks" / f"{name}.tif", mask)
        else:
            planes(tmp_path / "train" / "masks" / name, mask)
    data = open_data(tmp_path, holdout=0)
    assert (data.dims, data.names) == (3, ["v1.5um", "v2.5um"])
    for number in (1, 2):
        np.testing.assert_array_equal(data[number - 1].label_mask, volume(label=number))
        assert data[number - 1].image.shape == (4, 6, 9, 1)
        assert data[number - 1].ignore.any() == (number == 2)
    [told] = data.problems
    assert told.warning
    assert str(told).endswith(
        "images: holds folders, each taken for a volume and its files for the planes of it"
    )
    planes(tmp_path / "train" / "images" / "w", volume())
    with pytest.raises(UserError, match=r"w: has no mask; expected .*w \(a folder of planes\) or"):
        open_data(tmp_path)


def test_planes_that_changed_are_read_anew(tmp_path) -> None:
    planes(tmp_path / "images" / "a", volume() * 9)
    planes(tmp_path / "masks" / "a", volume())
    data = open_data(tmp_path, holdout=0)
    assert object_index(data).label.tolist() == [5]
    write(tmp_path / "masks" / "a" / "z02.tif", volume(label=7)[2], "YX")
    assert object_index(open_data(tmp_path, holdout=0)).label.tolist() == [5, 7]


def test_what_is_no_volume_of_planes(tmp_path) -> None:
    """A mask an object in a folder named as its image, plates beside images, and splits."""
    write(tmp_path / "a" / "images" / "x.tif", volume()[1], "YX")
    planes(tmp_path / "a" / "masks" / "x", volume())
    with pytest.raises(UserError, match="has no mask"):
        open_data(tmp_path / "a")
    write(tmp_path / "a" / "masks" / "x.tif", volume()[1], "YX")
    planes(tmp_path / "a" / "images" / "plate", volume())
    planes(tmp_path / "a" / "masks" / "plate", volume())
    data = open_data(tmp_path / "a")
    assert (data.dims, data.names) == (2, ["x"])
    assert {p.file.name for p in data.problems if p.warning} == {"plate", "x"}
    for part in ("images", "masks"):
        planes(tmp_path / "b" / part / "train", volume())
    with pytest.raises(UserError, match="other way round"):
        open_data(tmp_path / "b")


@pytest.mark.parametrize(("axes", "remedy"), [("TYX", "planes with their axes"), ("CYX", "so (t")])
def test_a_mask_of_other_axes_is_what_is_wrong(tmp_path, axes, remedy) -> None:
    """Not the image, which is a stack."""
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.tif", volume() + 5, "ZYX")
        write(tmp_path / "masks" / f"{name}.tif", volume(), axes)
    errors = [str(p) for p in check_data(tmp_path).problems if not p.warning]
    assert sum("is no stack of planes in z" in one and remedy in one for one in errors) == 2
    assert f"{tmp_path / 'masks' / 'a.tif'}: " in "".join(errors)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_a_gap_in_the_one_volume_is_told_of(tmp_path, part) -> None:
    """Where no other folder says that these are volumes: not to move planes among images."""
    for each in ("images", "masks"):
        planes(tmp_path / each / "x", volume(), [1, 2, 3, 5] if each == part else [1, 2, 3, 4])
    with pytest.raises(UserError, match=r"hold the planes of a volume each: .*leave a gap") as told:
        open_data(tmp_path)
    assert f"{tmp_path / part / 'x'} is no folder of planes: z03.tif and z05.tif" in str(told.value)
    assert "left out" not in str(told.value)


def test_planes_with_a_gap_are_an_error_of_their_volume(tmp_path) -> None:
    for part in ("images", "masks"):
        planes(tmp_path / part / "w", volume())
        planes(tmp_path / part / "x", volume(), [1, 2, 3, 5])
    data = open_data(tmp_path, holdout=0)
    assert data.dims == 3
    with pytest.raises(
        UserError, match=r"x is no folder of planes: z03.tif and z05.tif leave a gap"
    ):
        data[1]
    (tmp_path / "masks" / "x" / "z05.tif").rename(tmp_path / "masks" / "x" / "z04.tif")
    [error] = [p for p in check_data(tmp_path).problems if not p.warning]
    assert error.file == tmp_path / "images" / "x"
    assert "leave a gap" in error.message

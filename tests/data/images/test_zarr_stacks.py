"""Stacks in zarr are read by what is said of their axes; their spacing by scales and units."""

import numpy as np
import pytest
from test_zarr_series import VERSIONS, attributes, opened

from spatialembed.data.images.reading import (
    is_stack,
    read_image,
    read_stack,
    read_stack_mask,
    stack_size,
    stack_spacing,
)
from spatialembed.errors import UserError

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

STACK = np.random.default_rng(3).integers(0, 60_000, (5, 20, 31)).astype(np.uint16)
KINDS = {"c": "channel", "t": "time"}


def scale(*factors):
    return {"type": "scale", "scale": list(factors)}


def ome(path, array, axes, version="0.5", changes=None, whole=None, units="micrometer", **more):
    """One image with one level; ``units`` of its spatial axes."""
    said = [{"name": axis, "type": KINDS.get(axis, "space")} for axis in axes]
    for axis in said:
        if axis["type"] == "space" and units:
            axis["unit"] = units if isinstance(units, str) else units[axis["name"]]
    level = {"path": "0", "coordinateTransformations": changes or [scale(*[1.0] * len(axes))]}
    content = {"version": version, "axes": said, "datasets": [level], **more}
    if whole:
        content["coordinateTransformations"] = whole
    group = opened(path, version)
    group.attrs.update(attributes(version, {"multiscales": [content]}))
    chunks = (1,) * (array.ndim - 2) + (16, 16)
    group.create_array("0", data=array, chunks=chunks)
    return path


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", ["zyx", "tzyx", "czyx", "tczyx"])
def test_planes_in_z(tmp_path, version, axes):
    array = STACK.reshape((1,) * (len(axes) - 3) + STACK.shape)
    path = ome(tmp_path / "x.ome.zarr", array, axes, version)
    read = read_stack(path)
    assert read.dtype == np.uint16
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, STACK[..., None])
    assert stack_size(path) == STACK.shape
    assert is_stack(path)
    with pytest.raises(UserError, match=r"x\.ome\.zarr is a stack .*--stitch"):
        read_image(path)


@pytest.mark.parametrize(("axes", "last"), [("czyx", 0), ("zcyx", 1), ("zyxc", 3)])
def test_channels_come_last(tmp_path, axes, last):
    colors = np.stack([STACK, STACK + 1, STACK * 2], -1)
    path = ome(tmp_path / "x.zarr", np.moveaxis(colors, -1, last), axes)
    np.testing.assert_array_equal(read_stack(path), colors)


def test_arrays_that_name_their_axes(tmp_path):
    path = tmp_path / "x.zarr"
    names = ("z", "y", "x")
    zarr.create_array(path, data=STACK, chunks=(2, 16, 16), dimension_names=names)
    np.testing.assert_array_equal(read_stack(path), STACK[..., None])
    assert stack_spacing(path) is None


@pytest.mark.parametrize("shape", [(5, 20, 31), (1, 5, 20, 31), (1, 1, 5, 20, 31), (20, 31)])
def test_arrays_that_do_not_are_refused(tmp_path, shape):
    zarr.create_array(tmp_path / "x.zarr", data=np.zeros(shape, np.uint8), chunks=shape)
    with pytest.raises(UserError, match=r"x\.zarr does not say what the axes .*dimension_names"):
        read_stack(tmp_path / "x.zarr")
    assert not is_stack(tmp_path / "x.zarr")


def test_the_first_versions_have_five_axes(tmp_path):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.attrs.update({"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]})
    group.create_array("0", data=STACK[None, None], chunks=(1, 1, 1, 16, 16))
    np.testing.assert_array_equal(read_stack(tmp_path / "x.zarr"), STACK[..., None])
    assert stack_spacing(tmp_path / "x.zarr") is None


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((5, 20, 31), "tyx"), ((2, 5, 20, 31), "tzyx"), ((1, 20, 31), "zyx"), ((5, 20, 31), "cyx")],
)
def test_times_channels_and_single_planes_are_no_stacks(tmp_path, shape, axes):
    path = ome(tmp_path / "x.zarr", np.zeros(shape, np.uint8), axes)
    for read in (read_stack, read_stack_mask, stack_spacing, stack_size):
        with pytest.raises(UserError, match=r"x\.zarr is no stack of planes in z"):
            read(path)
    assert not is_stack(path)


def test_masks(tmp_path):
    mask = np.where(STACK > 30_000, STACK, 0)
    np.testing.assert_array_equal(read_stack_mask(ome(tmp_path / "m.zarr", mask, "zyx")), mask)
    assert read_stack_mask(tmp_path / "m.zarr").dtype == np.int32
    large = mask.astype(np.int64) * 2**40
    np.testing.assert_array_equal(read_stack_mask(ome(tmp_path / "m.zarr", large, "zyx")), large)
    with pytest.raises(UserError, match=r"m\.zarr has negative ids"):
        read_stack_mask(ome(tmp_path / "m.zarr", -large, "zyx"))
    with pytest.raises(UserError, match=r"m\.zarr has 2 channels that differ"):
        read_stack_mask(ome(tmp_path / "m.zarr", np.stack([mask, mask + 1]), "czyx"))


def test_a_lossy_codec_is_no_mask(tmp_path):
    group = zarr.open_group(tmp_path / "m.zarr", mode="w", zarr_format=2)
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    content = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.attrs.update({"multiscales": [content]})
    lossy = [numcodecs.Quantize(digits=1, dtype="f4")]
    group.create_array("0", data=STACK.astype("f4"), chunks=(1, 16, 16), filters=lossy)
    with pytest.raises(UserError, match=r"m\.zarr is in the lossy coding quanti"):
        read_stack_mask(tmp_path / "m.zarr")


def test_damaged_chunks_are_refused(tmp_path):
    path = ome(tmp_path / "x.zarr", STACK, "zyx", "0.4")
    chunk = path / "0" / "2.0.1"
    if not chunk.exists():
        chunk = path / "0" / "2" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[:9])
    with pytest.raises(
        UserError, match=r"x\.zarr cannot be read at planes 0 to 5, rows 0 .*damaged"
    ):
        read_stack(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_spacing_of_a_level_and_of_all(tmp_path, version):
    path = ome(tmp_path / "x.zarr", STACK, "zyx", version, [scale(0.5, 0.25, 0.127)])
    assert stack_spacing(path) == (0.5, 0.25, 0.127)
    moved = [scale(0.5, 0.25, 0.127), {"type": "translation", "translation": [7, 7, 7]}]
    path = ome(tmp_path / "x.zarr", STACK, "zyx", version, moved, [scale(2, 1, 2)])
    assert stack_spacing(path) == (1.0, 0.25, 0.254)
    path = ome(tmp_path / "x.zarr", STACK[None], "czyx", version, [scale(9, 0.5, 0.25, 0.127)])
    assert stack_spacing(path) == (0.5, 0.25, 0.127)
    units = {"z": "micrometer", "y": "nanometer", "x": "millimeter"}
    changes = [scale(0.5, 250, 0.00025)]
    path = ome(tmp_path / "x.zarr", STACK, "zyx", version, changes, units=units)
    assert stack_spacing(path) == pytest.approx((0.5, 0.25, 0.25))


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ([scale(0.5, 0.25, 0.127)], None),
        ([scale(0.5, 0.25, 0.127)], "parsec"),
        ([scale(0, 0.25, 0.127)], "micrometer"),
        ([scale(-1, 0.25, 0.127)], "micrometer"),
        ([scale(float("nan"), 0.25, 0.127)], "micrometer"),
        ([{"type": "identity"}], "micrometer"),
        ([{"type": "scale", "path": "scales"}], "micrometer"),
        ([scale(0.5, 0.25, 0.127), {"type": "affine", "affine": []}], "micrometer"),
    ],
)
def test_spacing_that_is_not_stated(tmp_path, changes, units):
    path = ome(tmp_path / "x.zarr", STACK, "zyx", changes=changes, units=units)
    assert stack_spacing(path) is None


def test_spacing_is_that_of_the_level_that_is_read(tmp_path):
    path = ome(tmp_path / "x.zarr", STACK, "zyx", "0.4", [scale(0.5, 0.25, 0.127)])
    group = zarr.open_group(path, mode="r+")
    group.create_array("1", data=STACK[:, ::2, ::2], chunks=(1, 16, 16))
    content = dict(group.attrs)
    coarse = {"path": "1", "coordinateTransformations": [scale(0.5, 0.5, 0.254)]}
    content["multiscales"][0]["datasets"].insert(0, coarse)
    group.attrs.update(content)
    assert stack_spacing(path) == (0.5, 0.25, 0.127)
    np.testing.assert_array_equal(read_stack(path)[..., 0], STACK)


def test_a_scale_of_too_few_axes_is_refused(tmp_path):
    path = ome(tmp_path / "x.zarr", STACK, "zyx", changes=[scale(0.5, 0.25)])
    with pytest.raises(UserError, match=r"x\.zarr holds no image in zarr"):
        stack_spacing(path)

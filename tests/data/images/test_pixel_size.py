"""How large a pixel is, is what a file states with a unit, or nothing."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from spatialembed.data.images.pixel_size import pixel_size, plane_pixel_size
from spatialembed.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 60_000, (20, 31), dtype=np.uint16)


def imagej(path, resolution=(1 / 0.127, 1 / 0.25), **said):
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=resolution, metadata=said)
    return pixel_size(path)


def test_imagej(tmp_path):
    assert imagej(tmp_path / "x.tif", unit="um") == (0.25, 0.127)
    assert imagej(tmp_path / "x.tif", unit="nm", resolution=(1 / 127, 1 / 250)) == (0.25, 0.127)
    for said in ({}, {"unit": "pixel"}, {"unit": "inch"}, {"unit": "um", "resolution": (1, 1)}):
        assert imagej(tmp_path / "x.tif", **said) is None


def ome(path, shape=(20, 31), axes="YX", more=(), **said):
    with tifffile.TiffWriter(path, ome=True) as file:
        for one in (said, *more):
            file.write(np.zeros(shape, np.uint8), metadata={"axes": axes, **one})
    return path


def test_ome(tmp_path):
    said = {"PhysicalSizeX": 0.127, "PhysicalSizeY": 0.25}
    assert pixel_size(ome(tmp_path / "x.tif", **said)) == (0.25, 0.127)
    path = ome(tmp_path / "x.tif", (2, 20, 31), "CYX", **said)
    assert pixel_size(path) == (0.25, 0.127)
    assert pixel_size(ome(tmp_path / "x.tif", **said, PhysicalSizeXUnit="pixel")) is None
    assert pixel_size(ome(tmp_path / "x.tif", PhysicalSizeX=0.127)) is None
    assert pixel_size(ome(tmp_path / "x.tif", PhysicalSizeX=1, PhysicalSizeY=1)) is None
    path = ome(tmp_path / "x.tif", **said, more=[said | {"PhysicalSizeX": 2}, {}])
    assert [pixel_size(path, k) for k in range(3)] == [(0.25, 0.127), (0.25, 2), None]
    with pytest.raises(UserError, match="holds 3 images"):
        pixel_size(path)


def test_the_first_level_of_a_pyramid(tmp_path):
    said = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(tmp_path / "x.tif", ome=True) as file:
        file.write(np.zeros((256, 256), np.uint8), tile=(64, 64), subifds=1, metadata=said)
        file.write(np.zeros((128, 128), np.uint8), tile=(64, 64), subfiletype=1)
    assert pixel_size(tmp_path / "x.tif") == (0.5, 0.5)


@pytest.mark.parametrize(
    ("resolution", "unit", "found"),
    [
        ((40_000, 20_000), "CENTIMETER", (0.5, 0.25)),
        ((50_800, 50_800), "INCH", (0.5, 0.5)),
        ((72, 72), "INCH", None),
        ((1200, 1200), "INCH", None),
        ((28.35, 28.35), "CENTIMETER", None),
        ((472.4, 472.4), "CENTIMETER", None),
        ((1, 1), "CENTIMETER", None),
        ((1, 1), "NONE", None),
        ((50_800, 50_800), "NONE", None),
        ((50_800, 72), "INCH", None),
    ],
)
def test_tags_count_where_they_are_finer_than_paper(tmp_path, resolution, unit, found):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, IMAGE, resolution=resolution, resolutionunit=unit)
    assert pixel_size(path) == (None if found is None else pytest.approx(found))


def test_a_turned_image_has_its_pixels_turned(tmp_path):
    said = {"PhysicalSizeX": 0.127, "PhysicalSizeY": 0.25}
    for orientation, found in ((6, (0.127, 0.25)), (3, (0.25, 0.127))):
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(tmp_path / "x.tif", IMAGE, ome=True, metadata=said, extratags=tags)
        assert pixel_size(tmp_path / "x.tif") == found


def ome_zarr(path, scale, unit="micrometer", shape=(20, 31), names="yx"):
    group = zarr.create_group(path, overwrite=True)
    group.create_array("0", data=np.zeros(shape, np.uint8))
    axes = [{"name": name, "type": "space"} | ({"unit": unit} if unit else {}) for name in names]
    changes = [{"type": "scale", "scale": scale}]
    levels = [{"path": "0", "coordinateTransformations": changes}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    return path


def test_ome_zarr(tmp_path):
    path = tmp_path / "x.zarr"
    assert pixel_size(ome_zarr(path, [0.25, 0.127])) == (0.25, 0.127)
    assert pixel_size(ome_zarr(path, [250, 127], "nanometer")) == (0.25, 0.127)
    assert pixel_size(ome_zarr(path, [1, 0.25, 0.127], shape=(2, 20, 31), names="cyx")) == (
        0.25,
        0.127,
    )
    assert pixel_size(ome_zarr(path, [0.25, 0.127], None)) is None
    assert pixel_size(ome_zarr(path, [1, 1])) is None
    zarr.create_array(tmp_path / "plain.zarr", data=IMAGE)
    assert pixel_size(tmp_path / "plain.zarr") is None


def test_other_files(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "x.png", dpi=(50_800, 50_800))
    assert pixel_size(tmp_path / "x.png") is None
    with pytest.raises(UserError, match="does not exist"):
        pixel_size(tmp_path / "y.tif")
    with pytest.raises(UserError, match="is a folder"):
        pixel_size(tmp_path)


def test_planes_of_a_stack_have_one_without_their_distance(tmp_path):
    path, voxels = tmp_path / "x.tif", np.zeros((5, 20, 31), np.uint8)
    said = {"PhysicalSizeX": 0.127, "PhysicalSizeY": 0.25}
    assert plane_pixel_size(ome(path, voxels.shape, "ZYX", **said)) == (0.25, 0.127)
    for resolution, size in (((1 / 0.127, 4), (0.25, 0.127)), ((1, 1), None)):
        tifffile.imwrite(
            path, voxels, imagej=True, resolution=resolution, metadata={"axes": "ZYX", "unit": "um"}
        )
        assert plane_pixel_size(path) == size
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    group.create_array("0", shape=voxels.shape, dtype="u1", chunks=voxels.shape)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    for axis in axes[1:]:
        axis["unit"] = "nanometer"
    scale = [{"type": "scale", "scale": [1, 250, 127]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    assert plane_pixel_size(tmp_path / "x.zarr") == (0.25, 0.127)
    (tmp_path / "planes").mkdir()
    for z in range(3):
        imagej(tmp_path / "planes" / f"z{z}.tif", unit="um")
    assert plane_pixel_size(tmp_path / "planes") == (0.25, 0.127)
    imagej(path, unit="um")
    with pytest.raises(UserError, match="is no stack"):
        plane_pixel_size(path)

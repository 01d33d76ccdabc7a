"""Zarr and OME-Zarr of several images, levels in any order, labels inside, and codecs."""

from pathlib import Path

import numpy as np
import pytest

from spatialembed.data.images.reading import (
    further_images,
    image_size,
    open_windowed,
    read_image,
    read_mask,
)
from spatialembed.data.images.zarr_image import grid_of
from spatialembed.errors import UserError

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

RNG = np.random.default_rng(11)
FULL = RNG.integers(0, 2**16, (40, 64)).astype(np.uint16)


def scales(version, axes="yx", paths=("0",), sizes=(1.0,), **more):
    kinds = {"c": "channel", "t": "time"}
    return {
        "version": version,
        "axes": [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes],
        "datasets": [
            {
                "path": path,
                "coordinateTransformations": [{"type": "scale", "scale": [size] * len(axes)}],
            }
            for path, size in zip(paths, sizes, strict=True)
        ],
        **more,
    }


def attributes(version, content):
    return content if version < "0.5" else {"ome": {"version": version} | content}


def image(group, version, array, name=None):
    """An image of one level in a group."""
    inside = group.create_group(name) if name else group
    axes = "cyx" if array.ndim == 3 else "yx"
    inside.attrs.update(attributes(version, {"multiscales": [scales(version, axes)]}))
    inside.create_array("0", data=array, chunks=(1,) * (array.ndim - 2) + (16, 16))
    return inside


def opened(path, version):
    return zarr.open_group(path, mode="w", zarr_format=2 if version < "0.5" else 3)


VERSIONS = ("0.4", "0.5")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_full_resolution_is_read_wherever_it_is_listed(tmp_path, version):
    group = opened(tmp_path / "x.zarr", version)
    paths, sizes = ("quarter", "full", "half"), (4.0, 0.5, 2.0)
    listed = {"multiscales": [scales(version, "yx", paths, sizes)]}
    group.attrs.update(attributes(version, listed))
    for path, step in zip(paths, (4, 1, 2), strict=True):
        group.create_array(path, data=FULL[::step, ::step], chunks=(16, 16))
    np.testing.assert_array_equal(read_image(tmp_path / "x.zarr")[..., 0], FULL)
    assert grid_of(tmp_path / "x.zarr")[1] == [0.5, 0.5]
    assert further_images(tmp_path / "x.zarr") is None


def bioformats2raw(path, version, arrays, listed=False):
    group = opened(path, version)
    group.attrs.update(attributes(version, {"bioformats2raw.layout": 3}))
    for number, array in enumerate(arrays):
        image(group, version, array, str(number))
    if listed:
        names = [str(number) for number in range(len(arrays))]
        group.create_group("OME").attrs.update(attributes(version, {"series": names}))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listed", [False, True])
def test_series_of_bioformats2raw(tmp_path, version, listed):
    path = tmp_path / "x.zarr"
    arrays = [np.roll(FULL, 9 * k, 0) for k in range(12)]
    bioformats2raw(path, version, arrays, listed)
    for read in (read_image, read_mask, open_windowed):
        with pytest.raises(UserError, match=r"x\.zarr holds 12 images \(series 0 64x40, series 1"):
            read(path)
    for number in (0, 2, 11):
        np.testing.assert_array_equal(read_image(path, number)[..., 0], arrays[number])
        part = open_windowed(path, series=number).read(slice(3, 20), slice(1, 30))
        np.testing.assert_array_equal(part[..., 0], arrays[number][3:20, 1:30])
    with pytest.raises(UserError, match="has no series 12: it holds 12 images"):
        read_image(path, 12)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_single_series_and_a_smaller_copy(tmp_path, version):
    bioformats2raw(tmp_path / "one.zarr", version, [FULL])
    np.testing.assert_array_equal(read_image(tmp_path / "one.zarr")[..., 0], FULL)
    bioformats2raw(tmp_path / "two.zarr", version, [FULL, FULL[::4, ::4]])
    np.testing.assert_array_equal(read_image(tmp_path / "two.zarr")[..., 0], FULL)
    assert "series 1 16x10" in further_images(tmp_path / "two.zarr")


@pytest.mark.parametrize("version", VERSIONS)
def test_fields_of_a_plate(tmp_path, version):
    group = opened(tmp_path / "plate.zarr", version)
    wells = [{"path": f"{row}/{column}"} for row in "AB" for column in (1, 2)]
    group.attrs.update(attributes(version, {"plate": {"wells": wells}}))
    for number, well in enumerate(wells):
        inside = group.create_group(well["path"])
        fields = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
        inside.attrs.update(attributes(version, fields))
        for field in range(2):
            image(inside, version, np.roll(FULL, 2 * number + field, 1), str(field))
    with pytest.raises(UserError, match=r"plate\.zarr holds 8 images \(series 0 A/1/0 64x40"):
        read_image(tmp_path / "plate.zarr")
    read = read_image(tmp_path / "plate.zarr", 5)[..., 0]  # B/1/1
    np.testing.assert_array_equal(read, np.roll(FULL, 5, 1))
    assert image_size(tmp_path / "plate.zarr", 5) == FULL.shape


@pytest.mark.parametrize("version", VERSIONS)
def test_two_descriptions_of_images_in_one_group(tmp_path, version):
    group = opened(tmp_path / "x.zarr", version)
    both = [scales(version, paths=("a",), name="raw"), scales(version, paths=("b",), name="other")]
    group.attrs.update(attributes(version, {"multiscales": both}))
    for path in "ab":
        group.create_array(path, data=FULL if path == "a" else FULL[::-1], chunks=(16, 16))
    with pytest.raises(UserError, match="holds 2 images"):
        read_image(tmp_path / "x.zarr")
    np.testing.assert_array_equal(read_image(tmp_path / "x.zarr", 1)[..., 0], FULL[::-1])


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_with_labels_inside_is_no_mask(tmp_path, version):
    group = opened(tmp_path / "x.zarr", version)
    image(group, version, FULL)
    labels = group.create_group("labels")
    labels.attrs.update(attributes(version, {"labels": ["cells"]}))
    image(labels, version, FULL % 5, "cells")
    np.testing.assert_array_equal(read_image(tmp_path / "x.zarr")[..., 0], FULL)
    with pytest.raises(UserError, match=r"is an image with label masks inside \(cells\)"):
        read_mask(tmp_path / "x.zarr")
    group = opened(tmp_path / "m.zarr", version)
    image(group, version, FULL % 5)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.zarr"), FULL % 5)


def test_codecs_that_change_ids(tmp_path):
    values = (FULL % 50).astype(np.float32)
    lossy = {
        "quantized": numcodecs.Quantize(1, "f4"),
        "rounded": numcodecs.BitRound(3),
        "scaled": numcodecs.FixedScaleOffset(0, 1, "f4", "u1"),
    }
    for name, codec in lossy.items():
        path = tmp_path / f"{name}.zarr"
        zarr.create_array(path, data=values, chunks=(16, 16), zarr_format=2, filters=[codec])
        assert read_image(path).shape == (40, 64, 1)
        for read in (read_mask, lambda path: open_windowed(path, indices=True)):
            with pytest.raises(UserError, match="is in the lossy coding"):
                read(path)
    for name in ("blosc", "zstd", "delta"):
        path = tmp_path / f"{name}.zarr"
        options = {
            "blosc": {"compressors": numcodecs.Blosc(), "zarr_format": 2},
            "zstd": {"compressors": numcodecs.Zstd(), "zarr_format": 2},
            "delta": {"filters": [numcodecs.Delta("f4")], "zarr_format": 2},
        }[name]
        zarr.create_array(path, data=values, chunks=(16, 16), **options)
        np.testing.assert_array_equal(read_mask(path), values)


def test_names_of_axes(tmp_path):
    bands = np.stack([FULL, FULL[::-1]])
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=bands, dimension_names=("band", "y", "x"))
    np.testing.assert_array_equal(read_image(path), np.moveaxis(bands, 0, 2))
    for names in (("z", "y", "x"), ("depth", "row", "column")):
        zarr.create_array(path, data=bands, dimension_names=names, overwrite=True)
        with pytest.raises(UserError, match="is a stack"):
            read_image(path)
    zarr.create_array(path, data=np.zeros((70, 40, 64), np.uint8), overwrite=True)
    with pytest.raises(UserError, match="is a stack"):
        read_image(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_metadata_is_one_sentence(tmp_path, version):
    damages = [
        {"multiscales": []},
        {"multiscales": [{}]},
        {"multiscales": [{"datasets": []}]},
        {"multiscales": [{"datasets": [{"path": "gone"}]}]},
        {"multiscales": 7},
        {"plate": {}},
        {"plate": {"wells": [{"path": "none"}]}},
        {"well": None},
        {"bioformats2raw.layout": 3},
        {},
    ]
    for damage in damages:
        opened(tmp_path / "x.zarr", version).attrs.update(attributes(version, damage))
        for read in (read_image, read_mask, image_size, further_images, open_windowed):
            with pytest.raises(UserError, match=r"x\.zarr holds no image in zarr"):
                read(Path(tmp_path / "x.zarr"))

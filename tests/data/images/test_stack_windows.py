"""Volumes read by windows are what is read whole, wherever their voxels are stored."""

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatialembed.data.images import tiff_tiles
from spatialembed.data.images.reading import read_stack
from spatialembed.data.images.stack_windows import open_windowed_stack, stack_grid
from spatialembed.data.images.windows import in_memory, one_below_the_other
from spatialembed.errors import UserError
from spatialembed.models.normalization import MOST_SIDE, Normalization

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 60_000, (6, 50, 70)).astype(np.uint16)
COLOR = RNG.integers(0, 255, (6, 50, 70, 3)).astype(np.uint8)
TILES = {"tile": (16, 32), "compression": "zlib"}
KINDS = {
    "tiles": (GREY, {"metadata": {"axes": "ZYX"}, **TILES}),
    "mapped": (GREY, {"metadata": {"axes": "ZYX"}}),
    "imagej": (GREY, {"imagej": True, "metadata": {"axes": "ZYX"}}),
    "strips": (GREY, {"metadata": {"axes": "ZYX"}, "compression": "zlib", "rowsperstrip": 7}),
    "planes": (GREY, {"metadata": {"axes": "ZYX"}, "compression": "zlib", "rowsperstrip": 50}),
    "pages": (GREY, {"metadata": None, **TILES}),
    "samples": (COLOR, {"photometric": "rgb", "metadata": {"axes": "ZYXS"}, **TILES}),
    "planar": (
        np.moveaxis(COLOR, -1, 1),
        {"photometric": "rgb", "planarconfig": "separate", "metadata": {"axes": "ZSYX"}, **TILES},
    ),
    "zc": (np.moveaxis(COLOR, -1, 1), {"ome": True, "metadata": {"axes": "ZCYX"}, **TILES}),
    "cz": (np.moveaxis(COLOR, -1, 0), {"ome": True, "metadata": {"axes": "CZYX"}, **TILES}),
    "turned": (GREY, {"metadata": None, "extratags": [(274, 3, 1, 6, True)], **TILES}),
    "upside down": (GREY, {"metadata": None, "extratags": [(274, 3, 1, 4, True)], **TILES}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tifffile's, of planes as colors
def test_windows_are_parts_of_the_whole(tmp_path, kind) -> None:
    array, options = KINDS[kind]
    path = tmp_path / ("a.ome.tif" if options.get("ome") else "a.tif")
    plain = {} if "photometric" in options else {"photometric": "minisblack"}
    tifffile.imwrite(path, array, **plain, **options)
    whole, volume = read_stack(path), open_windowed_stack(path)
    assert volume.shape == whole.shape[:3]
    assert volume.channels == whole.shape[3]
    assert volume.dtype == whole.dtype
    np.testing.assert_array_equal(volume.whole(), whole)
    window = slice(2, 5), slice(9, 41), slice(3, 50)
    part = volume.read(*window)
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, whole[window])
    assert volume.read(slice(4, 4), slice(0, 5), slice(0, 5)).shape == (0, 5, 5, whole.shape[3])


def test_only_the_tiles_of_a_window_are_decoded(tmp_path, monkeypatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata={"axes": "ZYX"}, **TILES)
    volume, seen = open_windowed_stack(tmp_path / "a.tif"), []
    stored = tiff_tiles._stored
    monkeypatch.setattr(
        tiff_tiles, "_stored", lambda file, *place: seen.append(place) or stored(file, *place)
    )
    volume.read(slice(2, 4), slice(20, 40), slice(33, 50))  # rows of tiles 1 and 2, column 1
    assert len(seen) == len(set(seen)) == 2 * 2 * 1


def test_windows_of_a_zarr(tmp_path) -> None:
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    names = ("t", "c", "z", "y", "x")
    zarr.create_array(path, data=np.moveaxis(COLOR, -1, 0)[None], dimension_names=names)
    volume = open_windowed_stack(path)
    assert volume.shape == GREY.shape
    window = slice(2, 5), slice(9, 41), slice(3, 50)
    np.testing.assert_array_equal(volume.read(*window), COLOR[window])
    assert stack_grid(path).size == [1.0, 1.0, 1.0]


def test_a_folder_of_planes_is_not_read_in_parts(tmp_path) -> None:
    for number in (1, 2):
        tifffile.imwrite(tmp_path / f"z{number}.tif", GREY[0])
    assert open_windowed_stack(tmp_path) is None
    with pytest.raises(UserError, match=r"none\.tif does not exist"):
        open_windowed_stack(tmp_path / "none.tif")


def test_where_voxels_of_a_tiff_lie(tmp_path) -> None:
    said = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, imagej=True, resolution=(4, 5), metadata=said)
    grid = stack_grid(path)
    assert grid.size == pytest.approx([0.5, 0.2, 0.25])
    assert [axis["unit"] for axis in grid.axes] == ["micrometer"] * 3
    tifffile.imwrite(path, GREY, metadata={"axes": "ZYX"})
    assert stack_grid(path).size == [1.0, 1.0, 1.0]
    assert "unit" not in stack_grid(path).axes[0]


@given(st.integers(0, 299), st.integers(1, 300), st.integers(0, 69), st.integers(1, 70))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_planes_one_below_the_other(top, tall, left, wide) -> None:
    volume = in_memory("a", GREY[..., None])
    window = slice(top, top + tall), slice(left, left + wide)
    found = one_below_the_other(volume)
    assert found.shape == (300, 70)
    np.testing.assert_array_equal(found.read(*window), GREY.reshape(300, 70, 1)[window])


@pytest.mark.parametrize("depth", [40, MOST_SIDE // 30 + 9])
def test_a_volume_is_normalised_in_parts_as_it_is_whole(depth) -> None:
    """Also where its percentiles are those of a sample."""
    volume = RNG.integers(0, 4000, (depth, 30, 20, 2)).astype(np.uint16)
    volume[depth // 2 :] += 500
    normal = Normalization("percentile")
    fixed = normal.fixed(one_below_the_other(in_memory("a", volume)))
    part = slice(3, 20), slice(5, 9)
    np.testing.assert_array_equal(fixed(volume[part]), normal(volume)[part])

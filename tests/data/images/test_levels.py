"""Lower resolutions of a pyramid, and some of an image's channels, as they are asked for."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import image_size, open_windowed, read_image, stated_shape
from spatialembed.data.images.series import Which
from spatialembed.data.images.zarr_image import grid_of
from spatialembed.errors import UserError

RNG = np.random.default_rng(5)
LEVELS = [RNG.integers(0, 256, (n, 3 * n // 2, 3), dtype=np.uint8) for n in (256, 64, 32)]
"""Which share nothing, so that none is taken for another."""
WINDOW = slice(5, 30), slice(9, 41)
APERIO = "Aperio Image Library v12.0\r\n384x256 [0,0 384x256] (16x16) Q=90|AppMag = 20|MPP = 0.5"


def aperio(path):
    """A slide as Aperio's scanners lay it out: thumbnail, levels, label and macro as pages."""
    rgb = {"photometric": "rgb", "metadata": None}
    tiles = rgb | {"tile": (16, 16), "compression": "zlib"}
    with tifffile.TiffWriter(path) as file:
        file.write(LEVELS[0], description=APERIO, **tiles)
        file.write(LEVELS[0][:50, :75], description="Aperio thumbnail", **rgb)
        for level in LEVELS[1:]:
            file.write(level, description="Aperio level", **tiles)
        file.write(LEVELS[0][:20, :20], description="Aperio\r\nlabel", subfiletype=1, **rgb)
        file.write(LEVELS[0][:20, :60], description="Aperio\r\nmacro", subfiletype=9, **rgb)


def ome(path):
    given = {"photometric": "rgb", "tile": (16, 16)}
    sides = {f"PhysicalSize{axis}": 0.5 for axis in "YX"}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(LEVELS[0], subifds=2, metadata=sides, **given)
        for level in LEVELS[1:]:
            file.write(level, subfiletype=1, **given)


def zarr_levels(path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="w", zarr_format=3)
    listed = []
    for level in (1, 2, 0):
        array = np.moveaxis(LEVELS[level], 2, 0)
        group.create_array(str(level), data=np.ascontiguousarray(array), chunks=(1, 32, 32))
        scale = {"type": "scale", "scale": [1.0, *2 * [128 / len(LEVELS[level])]]}
        listed.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": a, "type": "space", "unit": "micrometer"} for a in "yx"
    ]
    image = {"axes": axes, "datasets": listed, "name": "a"}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


WRITERS = pytest.mark.parametrize(
    ("name", "write"), [("a.svs", aperio), ("a.ome.tif", ome), ("a.zarr", zarr_levels)]
)


@WRITERS
def test_each_level_is_read_whole_and_by_windows(tmp_path, name, write) -> None:
    write(tmp_path / name)
    for level, expected in enumerate(LEVELS):
        asked = Which(level=level)
        np.testing.assert_array_equal(read_image(tmp_path / name, asked), expected)
        assert image_size(tmp_path / name, asked) == expected.shape[:2]
        part = open_windowed(tmp_path / name, series=asked).read(*WINDOW)
        np.testing.assert_array_equal(part, expected[WINDOW])
    assert stated_shape(tmp_path / name) == LEVELS[0].shape
    with pytest.raises(UserError, match=r"no level 3: it gives its image in 3 res.*--level"):
        read_image(tmp_path / name, Which(level=3))


@WRITERS
def test_pixels_of_each_level_have_their_size(tmp_path, name, write) -> None:
    write(tmp_path / name)
    for level, side in enumerate((0.5, 2, 4)):
        assert pixel_size(tmp_path / name, Which(level=level)) == pytest.approx((side, side))


@WRITERS
def test_channels_of_a_level(tmp_path, name, write) -> None:
    write(tmp_path / name)
    asked = Which(0, 1, (2, 0))
    expected = LEVELS[1][..., [2, 0]]
    np.testing.assert_array_equal(read_image(tmp_path / name, asked), expected)
    opened = open_windowed(tmp_path / name, series=asked)
    assert opened.channels == 2
    np.testing.assert_array_equal(opened.read(*WINDOW), expected[WINDOW])
    with pytest.raises(UserError, match=r"no channel 3: it has 3 channels.*--channel"):
        open_windowed(tmp_path / name, series=Which(channels=(3,)))


def test_the_grid_of_labels_is_that_of_the_level(tmp_path) -> None:
    zarr_levels(tmp_path / "a.zarr")
    assert grid_of(tmp_path / "a.zarr", Which(level=2)).size == [4, 4]


def test_pictures_have_one_level_and_channels(tmp_path) -> None:
    Image.fromarray(LEVELS[1]).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", Which(channels=(1,)))
    np.testing.assert_array_equal(found[..., 0], LEVELS[1][..., 1])
    with pytest.raises(UserError, match="no level 1: it gives its image in one resolution"):
        read_image(tmp_path / "a.png", Which(level=1))
    with pytest.raises(UserError, match="no channel -1"):
        read_image(tmp_path / "a.png", Which(channels=(-1,)))

"""Windows of zarr and TIFF against the same part of the whole image."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spatialembed.data.images import tiff_tiles
from spatialembed.data.images.reading import open_windowed, read_image, read_mask
from spatialembed.data.images.windows import blocks, in_memory
from spatialembed.errors import UserError

HEIGHT, WIDTH = 83, 117
RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 2**16, (HEIGHT, WIDTH)).astype(np.uint16)
COLOR = RNG.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
FIVE = RNG.normal(size=(5, HEIGHT, WIDTH)).astype(np.float32)
RGBA = RNG.integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)

TILES = {"tile": (16, 32), "compression": "zlib"}
TIFFS = {
    "tiles": (GREY, TILES),
    "predictor": (GREY, {**TILES, "predictor": True}),
    "uncompressed tiles": (GREY, {"tile": (32, 16)}),
    "other byte order": (GREY, {**TILES, "byteorder": ">"}),
    "strips": (GREY, {"rowsperstrip": 7, "compression": "zlib"}),
    "plain": (GREY, {}),
    "plain, other byte order": (GREY, {"byteorder": ">"}),
    "color": (COLOR, {**TILES, "photometric": "rgb"}),
    "planes": (COLOR.transpose(2, 0, 1).copy(), {**TILES, "planarconfig": "separate"}),
    "pages": (FIVE, {**TILES, "metadata": {"axes": "CYX"}}),
    "plain pages": (FIVE, {"metadata": {"axes": "CYX"}}),
    "rows as pages": (FIVE.transpose(1, 2, 0).copy(), {"photometric": "minisblack"}),
    "alpha": (RGBA, {**TILES, "photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "white is 0": (GREY, {**TILES, "photometric": "miniswhite"}),
    "pyramid": (GREY, {**TILES, "subifds": 1}),
    "bits": (GREY > 2**15, {**TILES, "photometric": "minisblack"}),
}


def ome(version: str, axes: str) -> dict:
    kinds = {"c": "channel", "t": "time"}
    names = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    scales = {"axes": names, "datasets": [{"path": "full"}, {"path": "half"}], "version": version}
    return {"multiscales": [scales]} if version < "0.5" else {"ome": {"multiscales": [scales]}}


ZARRS = {
    "grey": (GREY, {}, None),
    "format 2": (GREY, {"zarr_format": 2}, None),
    "channels last": (COLOR, {"chunks": (16, 32, 2)}, None),
    "channels first": (FIVE, {"chunks": (1, 20, 30)}, None),
    "shards": (GREY, {"chunks": (16, 16), "shards": (64, 64)}, None),
    "named axes": (COLOR.transpose(1, 2, 0).copy(), {"dimension_names": ("x", "c", "y")}, None),
    "OME-Zarr 0.4": (FIVE[None, :, None], {"zarr_format": 2}, ome("0.4", "tczyx")),
    "OME-Zarr 0.5": (FIVE, {}, ome("0.5", "cyx")),
}


def whole(kind: str) -> np.ndarray:
    """The image (H, W, C) that a kind holds."""
    array = np.squeeze((TIFFS | ZARRS)[kind][0])
    if kind == "named axes":
        return COLOR
    if kind == "white is 0":
        return (2**16 - 1 - array)[..., None]
    if array.ndim == 2:
        return array[..., None]
    array = np.moveaxis(array, 0, 2) if array.shape[1:] == (HEIGHT, WIDTH) else array
    return array[..., :3] if kind == "alpha" else array


def write_zarr(path: Path, kind: str) -> None:
    zarr = pytest.importorskip("zarr")
    array, options, attributes = ZARRS[kind]
    options = {"chunks": (1,) * (array.ndim - 2) + (20, 30)} | options
    if attributes is None:
        zarr.create_array(path, data=array, **options)
        return
    version = options.pop("zarr_format", 3)
    group = zarr.create_group(path, zarr_format=version, attributes=attributes)
    group.create_array("full", data=array, **options)
    group.create_array("half", data=array[..., ::2, ::2], **options)


@pytest.fixture(scope="module", params=[*TIFFS, *ZARRS])
def stored(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    if request.param in ZARRS:
        write_zarr(folder / "x.zarr", request.param)
        return request.param, folder / "x.zarr"
    array, options = TIFFS[request.param]
    options = {"photometric": "minisblack"} | options
    with tifffile.TiffWriter(folder / "x.tif", byteorder=options.pop("byteorder", None)) as file:
        file.write(array, **options)
        if "subifds" in options:
            file.write(array[::2, ::2], **options | {"subifds": None, "subfiletype": 1})
    return request.param, folder / "x.tif"


side = st.tuples(st.integers(0, 130), st.integers(0, 130)).map(lambda ends: slice(*sorted(ends)))


def test_every_window_is_that_part_of_the_whole(stored):
    kind, path = stored
    expected = whole(kind)
    image = open_windowed(path)
    assert (*image.shape, image.channels) == expected.shape
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(image.whole(), expected)

    @settings(max_examples=25, deadline=None)
    @given(side, side)
    def check(rows, columns):
        part = image.read(rows, columns)
        assert part.dtype == expected.dtype
        assert part.flags.c_contiguous
        np.testing.assert_array_equal(part, expected[rows, columns])

    check()


def test_blocks_cover_an_image_once_and_no_chunk_twice(stored):
    image = open_windowed(stored[1])
    for pixels in (1, 700, 10**6):
        seen = np.zeros(image.shape, int)
        for rows, columns in blocks(image, pixels):
            seen[rows, columns] += 1
            assert rows.start % image.chunk[0] == columns.start % image.chunk[1] == 0
        assert (seen == 1).all()


def test_blocks_cover_a_volume_once_and_no_chunk_twice():
    volume = replace(in_memory("x", np.zeros((11, 30, 50, 2))), chunk=(4, 8, 16))
    for pixels in (1, 2000, 10**6):
        seen = np.zeros(volume.shape, int)
        for window in blocks(volume, pixels):
            seen[window] += 1
            assert not any(part.start % n for part, n in zip(window, volume.chunk, strict=True))
            assert seen[window].size <= max(pixels, 4 * 8 * 16)
        assert (seen == 1).all()


def test_masks_keep_values_as_they_are_stored(tmp_path):
    labels = (GREY % 7).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", labels, photometric="miniswhite", **TILES)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), labels)
    part = open_windowed(tmp_path / "m.tif", indices=True).read(slice(5, 50), slice(3, 99))
    np.testing.assert_array_equal(part[..., 0], labels[5:50, 3:99])


def test_only_the_tiles_of_a_window_are_decoded(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", np.tile(GREY, (8, 8)), **TILES)
    image, seen = open_windowed(tmp_path / "x.tif"), []
    stored = tiff_tiles._stored

    def counted(file, *place):
        seen.append(place)
        return stored(file, *place)

    monkeypatch.setattr(tiff_tiles, "_stored", counted)
    image.read(slice(20, 40), slice(33, 97))  # rows of tiles 1 and 2, columns 1 to 3
    assert len(seen) == len(set(seen)) == 2 * 3


def test_images_that_are_stored_in_one_piece_have_no_windows(tmp_path):
    Image.fromarray(COLOR).save(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "one.tif", GREY, compression="zlib", rowsperstrip=HEIGHT)
    for name in ("x.png", "one.tif"):
        assert open_windowed(tmp_path / name) is None


def refused(path, window=slice(None), **options):
    with pytest.raises(UserError) as error:
        open_windowed(path, **options).read(window, window)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_what_cannot_be_read_is_named(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.tif")
    (tmp_path / "x.tif").write_bytes(b"II*\0 no")
    assert "truncated or of another format" in refused(tmp_path / "x.tif")
    tifffile.imwrite(
        tmp_path / "z.tif",
        np.zeros((4, 64, 64), np.uint8),
        **TILES,
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )
    assert "stack" in refused(tmp_path / "z.tif")
    tifffile.imwrite(tmp_path / "plain.tif", GREY)
    (tmp_path / "plain.tif").write_bytes((tmp_path / "plain.tif").read_bytes()[:-100])
    assert "truncated" in refused(tmp_path / "plain.tif")


def test_a_damaged_tile_is_named_where_it_is_needed(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, GREY, **TILES)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(content)
    assert "rows 0 to 83" in refused(path)
    open_windowed(path).read(slice(40, 60), slice(40, 60))  # other tiles are whole
    path.write_bytes(content[:-3000])
    assert "truncated or damaged" in refused(path, slice(60, 80))


def test_damaged_and_foreign_zarr_is_named(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "x.zarr"
    write_zarr(path, "grey")
    chunk = path / "c" / "1" / "2"
    chunk.write_bytes(chunk.read_bytes()[:20])
    assert "truncated or damaged" in refused(path)
    open_windowed(path).read(slice(0, 20), slice(0, 30))
    (tmp_path / "empty.zarr").mkdir()
    assert "holds no image in zarr" in refused(tmp_path / "empty.zarr")
    zarr = pytest.importorskip("zarr")
    zarr.create_array(tmp_path / "z.zarr", data=np.zeros((4, 8, 9, 3), np.uint8))
    assert "stack" in refused(tmp_path / "z.zarr")
    meta = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps(meta)[:-30])
    assert "holds no image in zarr" in refused(path)


def test_without_zarr_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.zarr").mkdir()
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(UserError, match=r"spatialembed\[large\]"):
        read_image(tmp_path / "x.zarr")

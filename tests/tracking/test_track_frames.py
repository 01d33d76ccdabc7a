from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from spatialembed.errors import UserError
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.tracking import track
from spatialembed.tracking.frames import open_frames


def label_map(number: int = 1, size: tuple[int, int] = (20, 24)) -> np.ndarray:
    found = np.zeros(size, np.uint8)
    found[4:9, 4 : 8 + number % 10] = 1
    found[12:16, 6:12] = 2
    return found


def write(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        tifffile.imwrite(folder / f"{name}.tif", array, photometric="minisblack")
    return folder


def test_frames_are_in_the_order_of_their_numbers_9_before_10(tmp_path) -> None:
    folder = write(tmp_path / "a", **{f"frame{t}": label_map(t) for t in (10, 9, 11, 8)})
    (folder / "frame8_overlay.png").write_bytes(b"\x89PNG of what predict wrote beside them")
    (folder / "settings.json").write_text("{}")
    frames = open_frames(folder)
    assert frames.names == ["frame8", "frame9", "frame10", "frame11"]
    for t, number in enumerate((8, 9, 10, 11)):
        assert np.array_equal(frames[t], label_map(number))
    assert len(frames[1:3]) == 2
    with pytest.raises(IndexError):
        frames[4]


def test_times_of_one_tiff_are_frames_where_it_says_that_they_are(tmp_path) -> None:
    times = np.stack([label_map(t) for t in range(11)])
    path = tmp_path / "x.tif"
    for options in (
        {"metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"metadata": {"axes": "TYX"}, "compression": "zlib"},
    ):
        tifffile.imwrite(path, times, photometric="minisblack", **options)
        frames = open_frames(path)
        assert frames.names[0] == "x_00"
        assert frames.names[10] == "x_10"
        assert all(np.array_equal(frames[t], times[t]) for t in range(11))


def test_stacks_are_frames_of_three_axes_with_their_spacing(tmp_path) -> None:
    folder = tmp_path / "stacks"
    folder.mkdir()
    said = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    for t in range(2):
        stack = np.stack([label_map(t)] * 5)
        resolution = (2.0, 2.0)
        path = folder / f"t{t}.tif"
        tifffile.imwrite(path, stack, imagej=True, resolution=resolution, metadata=said)
    frames = open_frames(folder)
    assert frames[1].shape == (5, 20, 24)
    assert frames.spacing == pytest.approx((2.0, 0.5, 0.5))


def tiled() -> np.ndarray:
    """Twelve tiles, each of which counts its objects from 1."""
    return np.tile(np.pad(np.arange(1, 13).reshape(3, 4).repeat(2, 0).repeat(2, 1), 8), (3, 3))


def picture(bits: int, shape: tuple[int, ...] = (96, 96)) -> np.ndarray:
    """A smooth image of camera counts, as wide as a camera's range, background of 0 in parts."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 4)
    return (2**bits * np.clip(smooth / smooth.max(), 0, 0.999)).astype(np.uint16)


@pytest.mark.parametrize("shape", [(96, 96), (6, 96, 96)])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_images_are_no_labels(tmp_path, bits, shape) -> None:
    for least in (0, 1):
        image = np.maximum(picture(bits, shape), least)
        folder = write(tmp_path / "a", t1=image, t2=image)
        told = r"t1\.tif is (an image, no label|no) map.*predict` finds"
        with pytest.raises(UserError, match=told):
            track(open_frames(folder))


def test_dense_tissue_without_background_and_single_pixels_are_labels(tmp_path) -> None:
    pytest.importorskip("laptrack")
    dense = np.arange(1, 1025).reshape(32, 32).repeat(3, 0).repeat(4, 1)  # of 12 pixels each
    spots = np.zeros((32, 32), np.uint16)
    spots[::2, ::2] = np.arange(1, 257).reshape(16, 16)
    for name, labels in {"dense": dense.astype(np.uint16), "spots": spots}.items():
        tracks = track(open_frames(write(tmp_path / name, t1=labels, t2=labels)))
        assert tracks.label_map(1).max() == labels.max()


def test_every_frame_is_looked_at_and_named(tmp_path) -> None:
    wrongs = {"image": picture(12), "classes": tiled(), "full": 255 * (label_map() > 0)}
    for name, wrong in wrongs.items():
        labels = label_map(size=wrong.shape)
        folder = write(tmp_path / name, t1=labels, t2=wrong.astype(np.uint16), t3=labels)
        with pytest.raises(UserError, match=r"t2\.tif is (an image|no map of instances)"):
            track(open_frames(folder))
    labels = label_map(size=(96, 96))
    times = np.stack([labels, picture(12), labels]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", times, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(UserError, match=r"x\.tif: frame x_1 is (an image|no map)"):
        track(open_frames(tmp_path / "x.tif"))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"t1": label_map(), "t2": label_map(size=(20, 30))}, r"t2.tif has 30x20 pixels, t1.tif"),
        ({"t1": label_map(), "t3": label_map()}, "t1.tif and t3.tif leave a gap"),
        ({"t1": label_map(), "t01": label_map()}, "have one number"),
        ({"first": label_map(), "last": label_map()}, "or have none; name them such as t001.tif"),
        (
            {f"x{t}_{target}": label_map() for t in (1, 2) for target in ("nuclei", "cells")},
            r"several targets, cells, nuclei; put those of one \(\*_cells\.tif\) into a folder",
        ),
        ({"p1t1": label_map(), "p2t2": label_map()}, "differ in 2 numbers"),
        ({"t1": label_map()}, "holds one frame"),
        ({}, "holds no TIFF"),
        ({"t1": label_map() + 0.5, "t2": label_map()}, "t1.tif is not integer"),
        ({"t1": label_map().astype(np.int16) - 1, "t2": label_map()}, "t1.tif has negative"),
        (
            {"t1": tiled(), "t2": tiled()},
            r"t1\.tif is no map of instances: it has ids that lie in several parts",
        ),
        (
            {f"t{t}": 255 * (label_map() == 1) for t in (1, 2)},
            r"t1\.tif is no map of instances: it holds no id but 255",
        ),
        (
            {"t1": label_map(), "t2": 255 * (label_map() > 0)},
            r"t2\.tif is no map of instances: it holds no id but 255",
        ),
        ({"t1": np.stack([label_map()] * 5), "t2": label_map()}, "t2.tif"),
        ({"t1": label_map(), "t2": np.stack([label_map()] * 5)}, "t2.tif"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, arrays, told) -> None:
    folder = write(tmp_path / "a", **{n: np.asarray(a) for n, a in arrays.items()})
    with pytest.raises(UserError, match=told):
        track(open_frames(folder))


def test_a_lone_object_is_one_whatever_its_id_where_others_have_others(tmp_path) -> None:
    pytest.importorskip("laptrack")
    lone, both = 255 * (label_map() == 1), label_map()
    for name, frames in {"first": (lone, lone, both), "last": (both, lone)}.items():
        arrays = {f"t{t}": frame.astype(np.uint8) for t, frame in enumerate(frames)}
        assert len(track(open_frames(write(tmp_path / name, **arrays)))) == 2


def test_whole_numbers_stored_as_floats_are_read(tmp_path) -> None:
    folder = write(tmp_path / "a", t1=label_map().astype(np.float32), t2=label_map())
    assert np.array_equal(open_frames(folder)[0], label_map())


def test_pixel_sizes_of_images_are_read_of_one_tiff_too(tmp_path) -> None:
    for t in range(2):
        save_label_tiff(tmp_path / "a" / f"t{t}.tif", label_map(t), (0.5, 0.25 + 0.001 * t))
    assert open_frames(tmp_path / "a").spacing == pytest.approx((0.5, 0.25))
    path = tmp_path / "x.tif"
    times = np.stack([label_map(t) for t in range(3)])
    sizes = {"PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    stated = {"resolution": (4.0, 2.0), "metadata": {"axes": "TYX", "unit": "um"}}
    for options in ({"ome": True, "metadata": {"axes": "TYX", **sizes}}, {"imagej": True} | stated):
        tifffile.imwrite(path, times, photometric="minisblack", **options)
        assert open_frames(path).spacing == pytest.approx((0.5, 0.25))
    deep = {"resolution": (4.0, 2.0), "metadata": {"axes": "TZYX", "unit": "um", "spacing": 2.0}}
    tifffile.imwrite(path, np.stack([times] * 2), imagej=True, **deep)
    assert open_frames(path).spacing == pytest.approx((2.0, 0.5, 0.25))


@pytest.mark.parametrize("first", [None, (0.5, 0.5)])
def test_sizes_of_pixels_that_contradict_each_other_are_refused(tmp_path, first) -> None:
    for depth in ((), (2.0,)):
        folder = tmp_path / f"of{len(depth)}"
        for t, size in enumerate((first, first, (0.5, 0.51))):
            labels = np.stack([label_map(t)] * 4) if depth else label_map(t)
            save_label_tiff(folder / f"t{t}.tif", labels, size and (*depth, *size))
        with pytest.raises(UserError, match=r"t2\.tif states .*0\.5 x 0\.51 µm .* t0\.tif"):
            open_frames(folder)


@pytest.mark.parametrize(
    ("shape", "options", "told"),
    [
        ((5, 20, 24), {}, "has the axes QYX"),
        ((5, 20, 24), {"metadata": {"axes": "ZYX"}}, "has the axes ZYX"),
        ((5, 2, 20, 24), {"metadata": {"axes": "TCYX"}}, "has the axes TCYX"),
        ((20, 24), {}, "has the axes YX"),
    ],
)
def test_a_tiff_that_does_not_hold_times_is_refused(tmp_path, shape, options, told) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="minisblack", **options)
    with pytest.raises(UserError, match=told):
        open_frames(path)


def test_a_cut_off_tiff_of_times_and_what_is_none_are_refused(tmp_path) -> None:
    path = tmp_path / "x.tif"
    times = np.stack([label_map(t) for t in range(9)])
    for compression in (None, "zlib"):
        said = {"metadata": {"axes": "TYX"}, "compression": compression}
        tifffile.imwrite(path, times, photometric="minisblack", **said)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
        with pytest.raises(UserError, match=r"x\.tif"):
            open_frames(path)
    with pytest.raises(UserError, match="does not exist"):
        open_frames(tmp_path / "none")
    with pytest.raises(UserError, match=r"is a pattern; give the folder, .*[^f]$"):
        open_frames(tmp_path / "*.tif")
    (tmp_path / "y.csv").write_text("no image")
    with pytest.raises(UserError, match="is no TIFF"):
        open_frames(tmp_path / "y.csv")

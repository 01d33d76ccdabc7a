"""label_first names few images that stand for all of a folder."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scipy import ndimage

from spatialembed.cli.main import main
from spatialembed.data.checks import label_first as module
from spatialembed.data.checks.label_first import (
    SIDE,
    distances,
    features,
    label_first,
    representatives,
)
from spatialembed.errors import UserError


def fine(rng):
    return rng.integers(0, 255, (60, 70)).astype(np.uint8)


def coarse(rng):
    return (1e5 * ndimage.gaussian_filter(rng.random((50, 64)), 6)).astype(np.uint16)


def colored(rng):
    return (fine(rng)[..., None] * (1, 0.5, 0.2)).astype(np.uint8)


def folder_of(root, *kinds):
    """Images of each kind, so many of each, in folders named by their kinds."""
    rng = np.random.default_rng(3)
    for kind, count in kinds:
        (root / kind.__name__).mkdir(parents=True)
        for k in range(count):
            tifffile.imwrite(root / kind.__name__ / f"{k}.tif", kind(rng))
    return root


def test_one_of_each_kind_is_named_the_most_typical_first(tmp_path):
    folder_of(tmp_path, (fine, 4), (coarse, 7), (colored, 3))
    named, problems = label_first(tmp_path, 3)
    assert problems == []
    kinds = {one.file.parent.name: one.stands_for for one in named}
    assert kinds == {"coarse": 7, "fine": 4, "colored": 3}
    assert named[0].file.parent.name == "coarse"
    assert label_first(tmp_path, 3)[0] == named


def test_a_lone_odd_image_comes_after_the_kinds(tmp_path):
    folder_of(tmp_path, (fine, 8), (coarse, 8), (colored, 1))
    named = [one.file.parent.name for one in label_first(tmp_path, 2)[0]]
    assert sorted(named) == ["coarse", "fine"]


def test_all_are_named_once_where_more_are_asked_for(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    for name in "bc":  # twins
        Image.new("RGB", (9, 9), (200, 9, 9)).save(tmp_path / f"{name}.png")
    named, _ = label_first(tmp_path, 9)
    assert sorted(one.file.name for one in named) == ["a.png", "b.png", "c.png"]
    assert sum(one.stands_for for one in named) == 3


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_each_leaves_the_least_distance(images, count, seed):
    points = np.random.default_rng(seed).normal(size=(images, 2))
    distance = np.hypot(*(points[:, None] - points).T)
    chosen = []
    for _ in range(min(count, images)):
        left = {
            k: sum(min(distance[j, i] for j in (*chosen, k)) for i in range(images))
            for k in range(images)
            if k not in chosen
        }
        chosen.append(min(left, key=left.__getitem__))
    assert representatives(distance, count) == chosen


@given(
    arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32, np.float64, np.bool_]),
        array_shapes(min_dims=3, max_dims=3, max_side=20),
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_pixels_there_are_can_be_compared(pixels):
    seen = [features(pixels), features(np.zeros_like(pixels))]
    assert np.isfinite(distances(seen)).all()


def test_bits_and_exposure_make_no_difference():
    pixels = fine(np.random.default_rng(0))[..., None]
    bright = 7 * pixels.astype(np.uint16) + 900
    for one, other in zip(features(pixels), features(bright), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_of_large_images_the_middle_is_looked_at(tmp_path):
    pixels = np.zeros((SIDE + 200, SIDE + 300), np.uint8)
    pixels[100:-100, 150:-150] = np.arange(SIDE) % 251
    tifffile.imwrite(tmp_path / "tiled.tif", pixels, tile=(256, 256))
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    middle = pixels[100:-100, 150:-150, None]
    for name in ("tiled.tif", "whole.png"):
        np.testing.assert_array_equal(module._middle(tmp_path / name), middle)


def volumes_of(folder, *kinds):
    """Stacks of each kind, in TIFF and one in zarr; their first and last planes are noise."""
    zarr, rng = pytest.importorskip("zarr"), np.random.default_rng(1)
    for draw, count in kinds:
        for k in range(count):
            planes = [draw(rng) for _ in range(7)]
            noise = rng.integers(0, 255, planes[0].shape).astype(planes[0].dtype)
            volume = np.stack([noise, *planes, noise])
            if k:
                said = {"axes": "ZYX"}
                tifffile.imwrite(folder / f"{draw.__name__}{k}.tif", volume, metadata=said)
            else:
                path = folder / f"{draw.__name__}{k}.zarr"
                zarr.create_array(path, data=volume, dimension_names=["z", "y", "x"])


def test_volumes_are_told_apart_by_planes_within(tmp_path):
    volumes_of(tmp_path, (fine, 4), (coarse, 3))
    named, problems = label_first(tmp_path, 2)
    assert [(one.file.name[:-5].rstrip("0123."), one.stands_for) for one in named] == [
        ("fine", 4),
        ("coarse", 3),
    ]
    assert not problems
    Image.new("L", (9, 9)).save(tmp_path / "z.png")
    named, [problem] = label_first(tmp_path, 9)
    assert len(named) == 7
    assert str(problem).startswith(f"{tmp_path / 'z.png'}: is no TIFF, OME-Zarr, file of")


def test_of_very_many_images_some_evenly_spaced_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    for k in range(7):
        Image.new("L", (9, 9), k).save(tmp_path / f"{k}.png")
    named, _ = label_first(tmp_path, 9)
    assert sorted(one.file.name for one in named) == ["0.png", "3.png", "6.png"]


def test_what_cannot_be_chosen_from_is_refused(tmp_path):
    with pytest.raises(UserError, match="from 1 up"):
        label_first(tmp_path, 0)
    with pytest.raises(UserError, match="is no folder"):
        label_first(tmp_path / "none", 1)
    with pytest.raises(UserError, match="has no image"):
        label_first(tmp_path, 1)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png"):
        label_first(tmp_path, 1)
    for name in ("a", "a_masks"):
        Image.new("L", (9, 9)).save(tmp_path / f"{name}.png")
    with pytest.raises(UserError, match="holds masks too"):
        label_first(tmp_path, 1)


def test_the_command_names_them_and_what_it_left_out(tmp_path, capsys):
    folder_of(tmp_path, (fine, 3), (coarse, 2))
    assert main(["check", str(tmp_path), "--label-first", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1].startswith(str(tmp_path / "fine"))
    assert told[1].endswith("(stands for 3)")
    assert told[2].startswith(str(tmp_path / "coarse"))
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "movie.ims").touch()
    assert main(["check", str(tmp_path), "--label_first", "1"]) == 1
    told = capsys.readouterr().out
    assert f"error: {tmp_path / 'broken.png'}: " in told
    assert "1 .ims" in told


def test_it_loads_no_torch(tmp_path):
    folder_of(tmp_path, (fine, 2))
    code = (
        "import sys; from spatialembed.cli.main import main; "
        f"main(['check', {str(tmp_path)!r}, '--label_first', '1']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_without_masks_is_told_of_it(tmp_path, capsys):
    folder_of(tmp_path, (fine, 2))
    assert main(["check", str(tmp_path)]) == 1
    assert "--label_first 5" in capsys.readouterr().out

"""A check of volumes says what they hold, and what would be found in training and later."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.cli.main import main
from spatialembed.data import check_data, open_data
from spatialembed.data.checks.mask_signs import Sign
from spatialembed.data.checks.one_volume import volume_signs
from spatialembed.data.index import specks
from spatialembed.data.volume_objects import objects_in_volume

SPACING = (0.4, 0.1, 0.2)


def stack(path: Path, voxels: np.ndarray, spacing: tuple[float, float, float] | None = SPACING):
    """A TIFF with its spacing as ImageJ states it, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if spacing is None:
        tifffile.imwrite(path, voxels, metadata={"axes": "ZYX"[-voxels.ndim :]})
        return
    z, y, x = spacing
    said = {"axes": "ZYX", "spacing": z, "unit": "um"}
    tifffile.imwrite(path, voxels, imagej=True, resolution=(1 / x, 1 / y), metadata=said)


def boxes(*sides: tuple[int, int, int], shape=(6, 20, 30)) -> np.ndarray:
    """A label mask of boxes of such (z, y, x) sides, one after the other along x."""
    mask = np.zeros(shape, np.uint8)
    x = 1
    for label, (depth, height, width) in enumerate(sides, 1):
        mask[1 : 1 + depth, 2 : 2 + height, x : x + width] = label
        x += width + 1
    return mask


def volume(root: Path, split: str, name: str, mask: np.ndarray, spacing=SPACING, seed: int = 0):
    rng = np.random.default_rng([seed, *map(ord, split + name)])
    image = rng.integers(0, 256, mask.shape).astype(np.uint8)
    stack(root / split / "images" / f"{name}.tif", image, spacing)
    stack(root / split / "masks" / f"{name}.tif", mask, spacing)


def messages(root: Path, warning: bool) -> dict[str, str]:
    report = check_data(root)
    return {
        p.file.relative_to(root).as_posix(): p.message
        for p in report.problems
        if p.warning is warning
    }


def test_what_volumes_hold(tmp_path: Path) -> None:
    volume(tmp_path, "train", "a", boxes((2, 4, 6), (4, 8, 2)))
    volume(tmp_path, "train", "b", boxes((3, 6, 10), shape=(5, 24, 28)))
    volume(tmp_path, "val", "c", boxes((2, 4, 4)))
    report = check_data(tmp_path)
    assert report.problems == ()
    train, val = report.splits
    assert (train.images, val.images) == (2, 1)
    assert train.objects == {"object": 3}
    assert train.sizes == {(30, 20, 6): 1, (28, 24, 5): 1}
    assert (train.channels, train.dtypes) == ({1: 2}, {"uint8": 2})
    assert train.area_quantiles[3] == 64  # of 48, 64 and 180 voxels
    # An ellipsoid of v voxels and d planes is sqrt(6 v / (pi d)) wide in its middle plane.
    assert train.median_diameter == pytest.approx((6 * 48 / (np.pi * 2)) ** 0.5)
    ((stated, count),) = train.spacings.items()
    assert stated == pytest.approx(SPACING, rel=1e-5)
    assert count == 2
    assert train.extents == {"x": (6, 2, 10), "y": (6, 4, 8), "z": (3, 2, 4)}
    for axis, step in zip("zyx", SPACING, strict=True):
        expected = np.multiply(train.extents[axis], step)
        assert train.extents_um[axis] == pytest.approx(expected, rel=1e-5)
    said = "\n".join(report.lines())
    assert "train: 2 volumes, 3 objects\n  28x20x5 to 30x24x6 voxels, 1 channel, uint8" in said
    assert "spacing 0.4 x 0.1 x 0.2 µm (z, y, x)" in said
    assert "x 6 (2 to 10), y 6 (4 to 8), z 3 (2 to 4) voxels" in said
    assert "x 1.2 (0.4 to 2), y 0.6 (0.4 to 0.8), z 1.2 (0.8 to 1.6) µm" in said
    assert json.loads(json.dumps(report.to_dict()))["splits"][1]["sizes"] == {"30x20x6": 1}


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volume(tmp_path, "train", "a", boxes(*[(2, 4, 6)] * 4), None)
    assert main(["check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "val: 1 volume" in said  # a slab of the only one
    assert "not stated by 1 file\n" in said
    assert "takes them for cubes, or those of --spacing Z Y X" in said


def test_spacings_that_training_would_refuse_or_mix(tmp_path: Path) -> None:
    volume(tmp_path, "train", "a", boxes((2, 4, 6)))
    volume(tmp_path, "train", "b", boxes((2, 4, 6)), (0.2, 0.1, 0.2))
    volume(tmp_path, "train", "c", boxes((2, 4, 6)), (0.8, 0.2, 0.4))
    volume(tmp_path, "train", "d", boxes((2, 4, 6)), None)
    volume(tmp_path, "val", "e", boxes((2, 4, 6)), (0.2, 0.1, 0.2))
    errors, warned = messages(tmp_path, False), messages(tmp_path, True)
    assert "0.2 x 0.1 x 0.2 µm (z, y, x) in 1 volume," in "\n".join(check_data(tmp_path).lines())
    assert list(errors) == ["train/images/b.tif"]
    assert "one --spacing for all" in errors["train/images/b.tif"]
    assert sorted(warned) == [
        f"{p}.tif" for p in ("train/images/c", "train/images/d", "val/images/e")
    ]
    assert "0.8 x 0.2 x 0.4 µm (z, y, x)" in warned["train/images/c.tif"]
    assert "takes the others' distances" in warned["train/images/d.tif"]


def test_channels_and_sizes_that_differ(tmp_path: Path) -> None:
    for name in "abc":
        volume(tmp_path, "train", name, boxes((2, 4, 6)))
    images = tmp_path / "train" / "images"
    two = np.zeros((6, 2, 20, 30), np.uint8)
    tifffile.imwrite(images / "b.tif", two, imagej=True, metadata={"axes": "ZCYX"})
    stack(images / "c.tif", np.zeros((5, 20, 30), np.uint8))
    errors = messages(tmp_path, False)
    assert sorted(errors) == ["train/images/b.tif", "train/images/c.tif"]
    assert "has 2 channels" in errors["train/images/b.tif"]
    assert re.search("30x20x5.*30x20x6", errors["train/images/c.tif"])


def test_images_among_volumes_are_named(tmp_path: Path) -> None:
    for name in "abc":
        volume(tmp_path, "train", name, boxes((2, 4, 6)))
    volume(tmp_path, "val", "d", boxes((2, 4, 6)))
    train = tmp_path / "train"
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(train / "masks" / "b.png")
    (train / "masks" / "b.tif").unlink()
    tifffile.imwrite(train / "images" / "c.tif", np.zeros((20, 30), np.uint8))
    errors = messages(tmp_path, False)
    assert "is an image, the first mask" in errors["train/masks/b.png"]
    assert "is an image, its mask" in errors["train/images/c.tif"]
    # The first decides what a data set is of.
    tifffile.imwrite(train / "masks" / "a.tif", boxes((2, 4, 6))[1])
    tifffile.imwrite(train / "images" / "a.tif", boxes((2, 4, 6))[1])
    assert "is a stack, the first mask" in messages(tmp_path, False)["train/masks/c.tif"]


def test_splits_of_two_kinds(tmp_path: Path) -> None:
    volume(tmp_path, "train", "a", boxes((2, 4, 6)))
    volume(tmp_path, "val", "b", boxes((2, 4, 6))[1], None)
    assert "holds images in val, volumes in train" in messages(tmp_path, False)["."]


def test_volumes_that_are_equal_and_splits_that_are_empty(tmp_path: Path) -> None:
    for split in ("train", "val"):
        volume(tmp_path, split, "a", boxes((2, 4, 6)))
    copied = (tmp_path / "train" / "images" / "a.tif").read_bytes()
    (tmp_path / "val" / "images" / "a.tif").write_bytes(copied)
    volume(tmp_path, "test", "c", boxes())
    warned = messages(tmp_path, True)
    assert "is equal to" in warned["val/images/a.tif"]
    assert "no object in its 1 test volume" in warned["."]
    assert "1 volume without an object" in "\n".join(check_data(tmp_path).lines())


def test_specks_are_named(tmp_path: Path) -> None:
    mask = boxes((4, 8, 8), (4, 8, 8))
    for k in range(3):
        mask[5, 15, 3 * k] = 10 + k
    volume(tmp_path, "train", "a", mask)
    volume(tmp_path, "val", "b", boxes((2, 4, 6)))
    assert "3 of 5 objects" in messages(tmp_path, True)["train/masks/a.tif"]


def test_what_a_slab_of_the_only_volume_cuts_off_is_no_speck(tmp_path: Path) -> None:
    mask = np.zeros((8, 20, 40), np.uint16)
    mask[2:6, 2:8, 2:14], mask[2:6, 10:16, 2:14], mask[2:6, 2:8, 20:40] = 1, 2, 3
    volume(tmp_path, "train", "a", mask)
    cut = open_data(tmp_path, "train").truth(0).label_mask.shape[2]
    mask[3, 17, cut - 20 : cut + 2], mask[5, 17, cut - 20 : cut + 2] = 10, 11
    volume(tmp_path, "train", "a", mask)
    held_out = open_data(tmp_path, "val").truth(0).label_mask
    assert specks(np.unique(held_out[held_out > 0], return_counts=True)[1]).sum() == 2
    assert not any("ids of their own" in said for said in messages(tmp_path, True).values())


def signs(mask: np.ndarray, spacing=None):
    return volume_signs(mask, objects_in_volume(mask, (mask > 0) - np.int16(1)), spacing)


def test_parts_far_apart() -> None:
    mask = np.zeros((30, 40, 40), np.uint8)
    for k in range(20):
        mask[2 * (k % 4) : 2 * (k % 4) + 2, k : k + 2, 4:6] = k + 1
    assert signs(mask).shared == 0
    for k in range(20):
        mask[20:23, k : k + 3, 30:33] = k + 1
    assert signs(mask).clear == {Sign.SHARED}


def balls(centers=((5, 10, 10), (4, 10, 26), (8, 24, 18), (7, 25, 32), (9, 10, 40))) -> np.ndarray:
    at = np.indices((14, 36, 50))
    mask = np.zeros(at.shape[1:], np.int32)
    for label, center in enumerate(centers, 1):
        away = (at - np.reshape(center, (3, 1, 1, 1))) / np.reshape([5, 7, 7], (3, 1, 1, 1))
        mask[(away**2).sum(0) <= 1] = label
    return mask


def test_planes_that_were_labelled_one_by_one(tmp_path: Path) -> None:
    mask = balls()
    plane = np.arange(len(mask))[:, None, None]
    counted = [np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in mask]
    for name, each in {
        "each": mask,
        "others": np.where(mask > 0, mask + 10 * plane, 0),
        "from_1": np.stack(counted),
        "alone": np.where(plane == 7, mask, 0),  # a plane is no stack of planes
    }.items():
        volume(tmp_path, "train", name, each.astype(np.uint8))
    volume(tmp_path, "val", "each", mask.astype(np.uint8), seed=1)
    warned = {f: said for f, said in messages(tmp_path, True).items() if "one by one" in said}
    assert warned == {"train/masks/from_1.tif": f"{Sign.PLANES.value}; so is 1 more: others.tif"}


def test_stray_voxels_and_distances_in_micrometres() -> None:
    mask = np.zeros((12, 40, 40), np.uint8)
    mask[:2, :10, :10] = 1
    mask[10, 5, 5] = 1
    assert (signs(mask).stray, signs(mask).shared) == (0, 0)  # 8 planes, and 14 from end to end
    assert (signs(mask, (4.0, 1.0, 1.0)).stray, signs(mask, (4.0, 1.0, 1.0)).shared) == (1, 0)
    mask[9:12, 4:8, 4:8] = 1
    assert signs(mask, (4.0, 1.0, 1.0)).shared == 1


def test_a_background_that_is_not_0() -> None:
    mask = boxes((2, 4, 6), (3, 4, 6), (3, 4, 6)) + 1
    assert signs(mask).clear == {Sign.BACKGROUND}
    assert signs(np.zeros((3, 4, 5), np.uint8)).clear == frozenset()

"""Masks whose files say something else of pixels, voxels and planes than those of their images."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_check_volumes import SPACING, boxes, stack

from spatialembed.data import check_data
from spatialembed.data.checks.mask_files import mask_file_warnings
from spatialembed.data.open import scan_data

MASK = boxes((2, 4, 6), (4, 8, 2))


def told(root: Path) -> list[str]:
    said = [str(problem) for problem in mask_file_warnings(scan_data(root, "test"))]
    assert set(said) <= set(map(str, check_data(root).problems))
    return said


def volumes(root: Path, image, mask, count: int = 1) -> Path:
    for k in range(count):
        voxels = np.random.default_rng(k).integers(0, 256, MASK.shape).astype(np.uint8)
        stack(root / "test" / "images" / f"{k}.tif", voxels, image)
        stack(root / "test" / "masks" / f"{k}.tif", MASK, mask)
    return root


def test_voxels_of_masks_are_compared_with_those_of_images(tmp_path: Path) -> None:
    turned = (SPACING[2], SPACING[1], SPACING[0])
    assert told(volumes(tmp_path / "same", SPACING, SPACING)) == []
    assert told(volumes(tmp_path / "silent", SPACING, None)) == []
    [said] = told(volumes(tmp_path / "other", SPACING, turned, 2))
    assert "0.tif: states voxels of 0.2 x 0.1 x 0.4 µm (z, y, x), its image 0.4 x 0.1 x 0.2" in said
    assert "(2 such masks): the image's are taken" in said
    [said] = told(volumes(tmp_path / "alone", None, SPACING))
    assert said.endswith("its image does not: if that is right, give --spacing 0.4 0.1 0.2")


def planes(folder: Path, voxels: np.ndarray, first: int) -> None:
    folder.mkdir(parents=True)
    for z, plane in enumerate(voxels, first):
        tifffile.imwrite(folder / f"z{z}.tif", plane)


@pytest.mark.parametrize("first", [0, 1, 9])
def test_planes_of_images_and_masks_are_numbered_alike(tmp_path: Path, first: int) -> None:
    planes(tmp_path / "test" / "images" / "a", np.flip(MASK) + np.uint8(5), 1)
    planes(tmp_path / "test" / "masks" / "a", MASK, first)
    said = told(tmp_path)
    assert len(said) == (first != 1)
    assert not said or f"masks/a: numbers its planes from {first}, its image from 1: " in said[0]


def test_pixels_of_masks_are_compared_with_those_of_images(tmp_path: Path) -> None:
    for k, side in enumerate((0.5, 0.25, 1.0)):  # 1 by 1 is what programs write unasked
        for part, step in (("images", 0.25), ("masks", side)):
            path = tmp_path / "test" / part / f"{k}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            said = {"unit": "um"}
            pixels = MASK[2] + np.uint8(9 * (part == "images"))
            tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / step,) * 2, metadata=said)
    [said] = told(tmp_path)
    assert "masks/0.tif: states pixels of 0.5 µm, its image 0.25: the image's are taken" in said

"""Ultralytics' folders: which text is of which image, and what data.yaml says."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from spatialembed.convert.run import Converted, convert
from spatialembed.data import open_data
from spatialembed.errors import UserError

TRIANGLE = "0 0.1 0.1 0.5 0.1 0.5 0.5\n"
BOXED = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"


def put(root: Path, images: str, texts: str, data: str, text: str = TRIANGLE) -> Path:
    """Images and texts a and b in the folders that are given."""
    for name in "ab":
        for folder in (images, texts):
            (root / folder).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / images / f"{name}.tif", np.zeros((40, 60), np.uint8))
        (root / texts / f"{name}.txt").write_text(text)
    (root / "data.yaml").write_text(data)
    return root


def objects(done: Converted) -> str:
    return done.written.partition("objects: ")[2]


def test_the_text_of_an_ome_tiff_comes_back(tmp_path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "in" / "train" / folder).mkdir(parents=True)
    mask = np.zeros((40, 60), np.uint8)
    mask[5:15, 5:15] = 1
    tifffile.imwrite(tmp_path / "in" / "train" / "images" / "x.ome.tif", mask)
    tifffile.imwrite(tmp_path / "in" / "train" / "masks" / "x.tif", mask)
    convert(tmp_path / "in", tmp_path / "texts", "ultralytics")
    assert (tmp_path / "texts" / "labels" / "train" / "x.ome.txt").is_file()
    convert(tmp_path / "texts", tmp_path / "back")
    found = open_data(tmp_path / "back", "train", holdout=0).truth(0).label_mask
    assert (found > 0).sum() == 100

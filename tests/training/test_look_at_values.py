"""What the training images' values say before the first step."""

import shutil

import numpy as np
import pytest
import tifffile

import spatialembed as se
from spatialembed.cli.options import read_recipe
from spatialembed.data import open_data
from spatialembed.models.normalization import Normalization
from spatialembed.training import train
from spatialembed.training.look_at_data import look_at_values


def folder(root, images):
    for part in ("images", "masks"):
        (root / "train" / part).mkdir(parents=True)
    for number, image in enumerate(images):
        mask = np.zeros(image.shape, np.uint8)
        mask[2:5, 2:5] = 1
        tifffile.imwrite(root / "train" / "images" / f"{number}.tif", image)
        tifffile.imwrite(root / "train" / "masks" / f"{number}.tif", mask)
    return open_data(root, holdout=0)


def images(dtype, tops):
    return [np.linspace(0, top, 80).reshape(8, 10).astype(dtype) for top in tops]


@pytest.mark.parametrize(
    ("dtype", "tops", "white", "words"),
    [
        ("uint8", (3, 250), 255, None),
        ("uint16", (60000, 50000), 65535, None),
        ("uint16", (200, 3012, 900), 4095, "uint16 from 0 to 3012"),
        ("int64", (250,), 255, "255 is taken as white"),
        ("float32", (255, 250), 255, "255 is taken as white"),
        ("float32", (1, 0.5), 1, None),
        ("float64", (9,), 1, "1 is taken as white"),
    ],
)
@pytest.mark.parametrize("kind", ["range", "none"])
def test_white_is_that_of_the_brightest_image(tmp_path, dtype, tops, white, words, kind) -> None:
    data = folder(tmp_path, images(dtype, tops))
    normalization, told = look_at_values(Normalization(kind), data)
    assert normalization.white == white
    if kind == "range":
        assert any("do not fill their type" in text for text in told) == (words is not None)
        assert words is None or words in " ".join(told)


def test_a_model_to_start_from_keeps_its_range_and_other_images_are_said(tmp_path) -> None:
    data = folder(tmp_path, images("uint16", (3012,)))
    normalization, told = look_at_values(Normalization("range", white=255), data)
    assert normalization.white == 255
    assert "4095 is taken as white" in told[0]
    assert look_at_values(Normalization("percentile"), data) == (Normalization("percentile"), [])


def test_several_ranges_and_what_is_no_number_are_said(tmp_path) -> None:
    broken = np.full((8, 10), np.nan, np.float32)
    data = folder(tmp_path, [*images("uint8", (250, 250)), broken])
    _, told = look_at_values(Normalization("range"), data)
    assert told[0] == "the images have several ranges: 2 of uint8 up to 255, 1 of float32 up to 1"
    assert "1 images have pixels that are NaN or infinite (80 in all)" in told[1]


def test_what_to_know_of_the_data_is_said_before_the_first_step(tmp_path, capsys) -> None:
    root = tmp_path / "data"
    folder(root, images("uint16", (3012, 900)))
    for part in ("images", "masks"):
        shutil.copytree(root / "train" / part, root / "valid" / part)
    (root / "train" / "images" / "x.npy").touch()
    train(read_recipe("smoke", root, f"--out={tmp_path / 'run'}", "--device=cpu", "--steps=1"))
    told = capsys.readouterr().err
    assert "(uint16 from 0 to 3012, for one): 4095 is taken as white" in told
    assert f"warning: {root / 'valid'}: is taken as val" in told
    assert "1 file of another format is left out (1 .npy)" in told
    assert se.load(tmp_path / "run").spec.normalization.white == 4095

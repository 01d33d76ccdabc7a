"""What the training images' values say before the first step."""

import numpy as np
import pytest
import tifffile

from spatialembed.data import open_data
from spatialembed.models.normalization import Normalization
from spatialembed.training.stored_values import look_at_values, tell_before_training


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


def test_warnings_are_shown_up_to_a_number(tmp_path, capsys) -> None:
    data = folder(tmp_path, images("uint8", (250,)))
    tell_before_training(tmp_path, [data], [f"note {i}" for i in range(13)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"warning: {tmp_path}: note 0"
    assert lines[10:] == [f"warning: and 3 more; `spatialembed check {tmp_path}` lists them"]

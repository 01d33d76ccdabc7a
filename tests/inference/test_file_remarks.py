"""What a file says that should be known before its result is believed, wherever it is read."""

import numpy as np
import pytest
import tifffile
from test_predictor import bright, squares

from microscopes import write_czi
from spatialembed.data import check_data
from spatialembed.errors import ImageWarning
from spatialembed.formats.results_folder import Results
from spatialembed.inference.evaluate import evaluate
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images

pytest.importorskip("pylibCZIrw", reason="reading CZI is an extra, vendor")

BARE = "25.00% of its pixels lie in none of its tiles and are read as 0"


@pytest.fixture
def data(tmp_path):
    """A test image of four tiles, of which one is missing."""
    image = squares()[..., 0]
    height, width = (side // 2 for side in image.shape)
    tiles = [
        (image[y : y + height, x : x + width].copy(), {"location": (x, y)})
        for y, x in ((0, 0), (0, width), (height, 0))
    ]
    for part in ("images", "masks"):
        (tmp_path / "data" / "test" / part).mkdir(parents=True)
    write_czi(tmp_path / "data/test/images/a.czi", tiles, (1, 1, 1))
    whole = np.zeros((2 * height, 2 * width), np.uint8)
    whole[2:9, 2:9] = 1
    tifffile.imwrite(tmp_path / "data/test/masks/a.tif", whole)
    return tmp_path / "data"


def test_a_mosaic_with_a_hole_is_told_of(data, tmp_path) -> None:
    image = data / "test" / "images" / "a.czi"
    out = tmp_path / "out"
    [outcome] = predict_files(bright(), find_images([image], out), Results(out))
    assert [note for note in outcome.notes if note.startswith(BARE)]
    assert [problem for problem in check_data(data).warnings if problem.message.startswith(BARE)]
    told = evaluate(bright(), data)["warnings"]
    assert [line for line in told if f"a.czi: {BARE}" in line]
    with pytest.warns(ImageWarning, match=BARE):
        bright().predict(image)

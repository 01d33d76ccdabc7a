from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialembed.errors import UserError
from spatialembed.pictures import Tile, panel, save_picture


def flat(height, width, color):
    return np.full((height, width, 3), color, np.uint8)


def area(sheet, color):
    y, x = np.nonzero((sheet == color).all(axis=2))
    return y.min(), y.max() + 1, x.min(), x.max() + 1


def test_pictures_stand_in_rows_at_one_width():
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    sizes = [(320, 320), (160, 320), (100, 50)]
    tiles = [(f"tile {k}", flat(*sizes[k], colors[k])) for k in range(3)]
    sheet = panel(tiles, columns=2)
    red, green, blue = (area(sheet, color) for color in colors)
    assert (red[1] - red[0], red[3] - red[2]) == (320, 320)
    assert (green[1] - green[0], green[3] - green[2]) == (160, 320)
    assert (blue[1] - blue[0], blue[3] - blue[2]) == (640, 320)
    assert green[0] == red[0]
    assert green[2] > red[3]
    assert blue[0] > red[1]
    assert blue[2] == red[2]


@pytest.mark.parametrize(("width", "expected"), [(100, 400), (320, 320), (500, 500), (2048, 720)])
def test_small_pictures_grow_by_whole_numbers_and_large_ones_shrink(width, expected):
    _, _, left, right = area(panel([("x", flat(64, width, (9, 250, 9)))]), (9, 250, 9))
    assert right - left == expected


def test_titles_and_keys_are_drawn_and_long_ones_give_way():
    picture = flat(50, 320, (40, 40, 40))
    plain = panel([("", picture)])
    titled = panel([("title", picture)])
    assert (plain != titled).any()
    tile = Tile("a title much too long for the tile that it stands above " * 3, picture,
                [("word", (200, 10, 10))])  # fmt: skip
    sheet = panel([tile])
    assert (sheet == (200, 10, 10)).all(axis=2).any()
    assert np.array_equal(sheet[:, -14:], plain[:, -14:])


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ValueError, match="at least one tile"):
        panel([])
    with pytest.raises(ValueError, match="'grey' is not"):
        panel([("grey", np.zeros((4, 4), np.uint8))])


def test_pictures_are_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "x.png"
    save_picture(path, flat(4, 5, (1, 2, 3)))
    assert np.array_equal(np.asarray(Image.open(path)), flat(4, 5, (1, 2, 3)))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        save_picture(path, flat(9, 9, (0, 0, 0)))
    assert np.asarray(Image.open(path)).shape == (4, 5, 3)
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 70), (57, 43)])
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp"])
def test_what_is_saved_is_read_again(tmp_path, shape, suffix):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    path = tmp_path / f"picture{suffix}"
    save_picture(path, rgb)
    with Image.open(path) as image:
        image.verify()  # checksums
    with Image.open(path) as image:
        assert (image.format, image.mode) == (suffix[1:].upper(), "RGB")
        assert np.array_equal(np.asarray(image), rgb)

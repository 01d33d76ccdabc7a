"""Masks that were mirrored or transposed are told by the edges of their images."""

import numpy as np
import pytest
from PIL import Image

from spatialembed.data import check_data
from spatialembed.data.checks.turned_masks import TURNS
from spatialembed.demo.nuclei import draw_nuclei


def told(root, turn, count=3, noise=0.0, said="their masks fit them", others=0):
    rng = np.random.default_rng(0)
    for seed in range(count):
        image, mask = draw_nuclei(seed, side=128)
        mask = draw_nuclei(seed + others, side=128)[1]
        image = (image + rng.normal(0, noise, image.shape)).clip(0, 65535).astype(np.uint16)
        for kind, pixels in (("images", image), ("masks", turn(mask))):
            path = root / "test" / kind / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return [p.message for p in check_data(root).warnings if said in p.message]


@pytest.mark.parametrize("name", TURNS)
def test_the_turn_that_mends_it_is_named(tmp_path, name) -> None:
    there = TURNS[name]
    back = TURNS.get(
        {
            "turned by 90 degrees": "turned by 270 degrees",
            "turned by 270 degrees": "turned by 90 degrees",
        }.get(name, name)
    )
    grid = np.arange(9).reshape(3, 3)
    assert (there(back(grid)) == grid).all()
    [message] = told(tmp_path, back)
    assert f"3 of 3 images of its split: their masks fit them far better {name}, by" in message


@pytest.mark.parametrize("noise", [0, 3000])
def test_nothing_is_said_of_masks_as_they_are(tmp_path, noise) -> None:
    assert told(tmp_path, lambda mask: mask, noise=noise) == []


def test_nothing_is_said_by_few_images_nor_of_masks_that_fit_in_no_way(tmp_path) -> None:
    assert told(tmp_path / "few", np.transpose, count=2) == []
    assert told(tmp_path / "shifted", lambda mask: np.roll(mask, (40, 17), (0, 1))) == []


def test_masks_of_other_images_are_told(tmp_path) -> None:
    chance = "lie on edges no more than by chance"
    [message] = told(tmp_path / "next", lambda mask: mask, said=chance, others=1)
    assert "and the other images of its split (3)" in message
    moved = told(tmp_path / "moved", lambda mask: np.roll(mask, (40, 17), (0, 1)), said=chance)
    assert len(moved) == 1
    for name, noise in (("own", 0), ("dim", 3000)):
        assert told(tmp_path / name, lambda mask: mask, said=chance, noise=noise) == []
    assert told(tmp_path / "turned", lambda mask: mask[::-1], said=chance) == []

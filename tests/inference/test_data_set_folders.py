"""A data set's folder that is given to be predicted: its images are, its masks are not."""

import pytest
from PIL import Image

from spatialembed.inference.image_files import find_images


@pytest.fixture
def data(tmp_path):
    for split in ("train", "test"):
        for kind in ("images", "masks", "ignore"):
            (tmp_path / "data" / split / kind / "a").mkdir(parents=True)
            for z in (1, 2):
                path = tmp_path / "data" / split / kind / "a" / f"z{z}.png"
                Image.new("L", (9, 9)).save(path)
    return tmp_path / "data"


def names(given, out, stacks, told=None) -> list[str]:
    told = [] if told is None else told
    return [file.name for file in find_images([given], out, told.append, stacks)]


@pytest.mark.parametrize("stacks", [False, True])
def test_masks_beside_images_are_left_out_with_a_word(data, tmp_path, stacks) -> None:
    told, ends = [], ("a",) if stacks else ("a/z1", "a/z2")
    found = names(data, tmp_path / "out", stacks, told)
    assert found == [f"{split}/images/{end}" for split in ("test", "train") for end in ends]
    assert told[0].startswith(
        f"{data / 'test' / 'ignore' / 'a'}, beside images as masks or results"
    )
    assert "(and 3 more such)" in told[0]
    assert names(data / "test", tmp_path / "out", stacks) == [f"images/{end}" for end in ends]


def test_masks_that_are_meant_are_taken(data, tmp_path) -> None:
    assert names(data / "test" / "masks", tmp_path / "out", False) == ["a/z1", "a/z2"]
    (data / "test" / "images").rename(data / "test" / "scans")
    told = []
    found = names(data / "test", tmp_path / "out", False, told)
    assert found == [f"{kind}/a/z{z}" for kind in ("ignore", "masks", "scans") for z in (1, 2)]
    assert not told

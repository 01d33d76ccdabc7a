"""A PNG whose bytes changed is refused, wherever; Pillow alone gives other pixels for some."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialembed.data.images.reading import read_image, read_mask
from spatialembed.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 50, (40, 30), np.uint8)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_any_changed_byte_is_seen(tmp_path: Path, read) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path, compress_level=0)
    np.testing.assert_array_equal(read(path)[..., 0] if read is read_image else read(path), PIXELS)
    content = path.read_bytes()
    for place in range(8, len(content), 11):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"a\.png"):
            read(path)


@pytest.mark.parametrize("share", [0, 0.2, 0.7, 0.99])
def test_a_truncated_one(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(path)


def test_what_follows_the_end_is_nothing_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes() + b"more")
    np.testing.assert_array_equal(read_image(path)[..., 0], PIXELS)

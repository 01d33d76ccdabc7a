"""Images that folders are predicted of."""

import pytest
from PIL import Image
from test_predictor import squares


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "sub/b.tif", "sub/c.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares()[..., 0]).save(path)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"

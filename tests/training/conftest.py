"""Scenes that runs train on."""

from pathlib import Path

import pytest

from spatialembed.demo.scenes import make_scenes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(out, 6, 2, (128, 96))
    return out

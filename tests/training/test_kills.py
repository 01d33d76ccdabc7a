"""A kill at any moment leaves a folder that goes on, and to the same weights."""

from pathlib import Path

import killed
import pytest

from spatialembed.demo.scenes import make_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(out, 4, 2, (96, 64))
    return out


@pytest.fixture(scope="module")
def whole(scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert killed.run(killed.config_of(scenes, out)) == 0
    return out


@pytest.mark.parametrize(
    ("moment", "way"),
    [
        ("in the writing of the index", "anew"),
        ("in the writing of the first checkpoint", "anew"),
        ("after the first checkpoint", "--resume"),
        ("in the writing of the first model", "--resume"),
        ("between the first model and its checkpoint", "--resume"),
        ("in the writing of a picture", "--resume"),
        ("in the writing of a row of validations", "--resume"),
        ("after the second checkpoint", "--resume"),
        ("after the calibrated model", "--resume"),
    ],
)
def test_a_run_that_is_killed_goes_on_to_the_same_weights(
    scenes, whole, tmp_path, moment, way
) -> None:
    out = tmp_path / "run"
    if "index" in moment:
        for file in scenes.glob(".spatialembed-train-*"):
            file.unlink()
    assert killed.run(killed.config_of(scenes, out), moment) == -9
    assert killed.go_on(scenes, out) == way
    killed.assert_same(whole, out)
    assert not list(scenes.rglob(".spatialembed-part-*"))

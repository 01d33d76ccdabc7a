"""A model keeps the pixel size of its training images, all of which are shown at one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.data.checks.check import check_data
from spatialembed.data.crops.stored import store_crops
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.index import object_index
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.training.prepare import gather


def write(root: Path, split: str, sizes: list[float | None]) -> Path:
    """Images of discs that are 6 µm wide, of 0.5 µm a pixel where no size is stated."""
    for name in ("images", "masks"):
        (root / split / name).mkdir(parents=True)
    for i, size in enumerate(sizes):
        step = size or 0.5
        y, x = np.indices([round(48 / step)] * 2) * step
        mask = np.zeros(y.shape, np.uint8)
        for k, (cy, cx) in enumerate([(12, 12), (12, 34), (34, 12), (34, 34)], 1):
            mask[np.hypot(y - cy, x - cx) < 3] = k
        how = {"resolution": (1 / step, 1 / step), "metadata": {"unit": "um"}} if size else {}
        noise = np.random.default_rng([i, len(split)]).integers(0, 20, mask.shape, np.uint8)
        image = (mask > 0) * np.uint8(200) + noise
        tifffile.imwrite(root / split / "images" / f"{i}.tif", image, imagej=True, **how)
        Image.fromarray(mask).save(root / split / "masks" / f"{i}.png")
    return root


def material(root: Path, out: Path, *options: str, **how):
    return gather(read_recipe("smoke", root, f"--out={out}", *options), **how)


def told(material) -> str:
    return " ".join(map(str, material.warnings))


def data(root: Path, *sizes: float | None, val: tuple[float | None, ...] = (0.5, 0.5)) -> Path:
    return write(write(root, "train", list(sizes)), "val", list(val))


def test_one_pixel_size_is_kept_and_changes_nothing(tmp_path) -> None:
    known = material(data(tmp_path / "a", 0.5, 0.5, 0.5), tmp_path / "run")
    assert known.spec.pixel_size == pytest.approx(0.5)
    assert (known.ratios, known.diameters, told(known)) == (1.0, None, "")
    silent = material(data(tmp_path / "b", None, None, None, val=(None, 0.5)), tmp_path / "run")
    assert silent.spec == replace(known.spec, pixel_size=None, trained_on="b")
    assert (silent.ratios, silent.diameters) == (1.0, None)


def test_images_of_several_are_shown_at_their_median(tmp_path) -> None:
    root = data(tmp_path / "a", 0.25, 0.5, 0.5, 0.8, val=(0.5, 0.25))
    known = material(root, tmp_path / "run", "--diameter=24")
    np.testing.assert_allclose(known.ratios, [0.5, 1, 1, 1.6])
    assert known.spec.object_diameter == pytest.approx(12, rel=0.05)
    assert known.spec.zoom == pytest.approx(2, rel=0.05)
    wide = known.spec.object_diameter
    assert known.diameters == pytest.approx([wide, 2 * wide])
    assert "the median of the training images is 0.5: each is shown as large" in told(known)
    asked = material(root, tmp_path / "run", "--pixel_size=0.4")
    assert (asked.spec.pixel_size, asked.ratios) == (0.4, 1.0)
    assert "0.tif: states pixels of 0.25 µm (4 such images); they are taken for 0.4" in told(asked)
    assert told(material(root, tmp_path / "run", "--pixel_size=0.52")).count("taken for") == 1
    few = material(root, tmp_path / "run", hold_out=False)
    assert (few.spec.pixel_size, few.ratios) == (None, 1.0)
    assert "the model will know no pixel size" in told(few)


def test_what_cannot_be_known_is_told(tmp_path) -> None:
    some = material(data(tmp_path / "a", 0.5, None, None), tmp_path / "run")
    assert some.spec.pixel_size is None
    assert "1.tif: does not state the size of its pixels, others do (2 such images)" in told(some)
    with pytest.raises(UserError, match=r"2\.tif has pixels of 5 µm.*resample it"):
        material(data(tmp_path / "b", 0.5, 0.5, 5.0), tmp_path / "run")
    with pytest.raises(UserError, match="pixel_size must be a number of micrometres"):
        material(tmp_path / "a", tmp_path / "run", "--pixel_size=0")
    both = ["--diameter=20", "--pixel_size=0.5", f"--also={tmp_path / 'b'}"]
    with pytest.raises(UserError, match="--pixel_size is of one set"):
        material(tmp_path / "a", tmp_path / "run", *both)


def test_a_check_says_them_and_warns_of_several(tmp_path) -> None:
    report = check_data(data(tmp_path / "a", 0.5, 0.5, 0.5, 0.8))
    lines = "\n".join(report.lines())
    assert "pixel size 0.5 to 0.8 µm\n" in lines
    assert "3.tif: has pixels of 0.8 µm, the median image of 0.5" in lines
    assert report.to_dict()["splits"][0]["pixel_sizes"] == {"0.5": 3, "0.8": 1}
    assert not report.errors
    far = check_data(data(tmp_path / "far", 0.5, 0.5, 6.0, 0.8))
    assert far.errors
    assert "2.tif: has pixels of 6 µm, the median image of 0.65: training refuses it" in "\n".join(
        far.lines()
    )
    lines = "\n".join(check_data(data(tmp_path / "b", 0.5, None, 0.5)).lines())
    assert "pixel size 0.5 µm, not stated by 1 file" in lines
    assert "1.tif: does not state the size of its pixels" in lines
    report = check_data(data(tmp_path / "c", None, None, val=(None, None)))
    assert "pixel" not in " ".join(map(str, report.warnings))
    assert report.splits[0].pixel_sizes == {}


def test_pixels_that_are_no_squares_are_told_of(tmp_path) -> None:
    root = data(tmp_path / "a", 0.5, 0.5, 0.5)
    for name in ("train/images/1.tif", "train/images/2.tif", "val/images/0.tif"):
        how = {"resolution": (4, 2), "metadata": {"unit": "um"}}
        tifffile.imwrite(root / name, tifffile.imread(root / name), imagej=True, **how)
    such = "has pixels of 0.5 x 0.25 µm (high, wide), no squares"
    report = check_data(root)
    assert not report.errors
    messages = [str(problem) for problem in report.warnings]
    assert sum(f"1.tif: {such} (2 such images): their size" in line for line in messages) == 1
    assert sum(f"0.tif: {such}: their size is taken for unknown" in line for line in messages) == 1
    assert not [line for line in messages if "does not state" in line]
    assert "  pixel size 0.5 µm" in list(report.lines())
    known = material(root, tmp_path / "run")
    assert known.spec.pixel_size is None
    assert f"1.tif: {such} (2 such images)" in told(known)
    assert "does not state" not in told(known)


def test_stored_crops_state_it(tmp_path) -> None:
    train = open_data(data(tmp_path / "a", 0.25, None), "train")
    store_crops(train, object_index(train), tmp_path / "crops", 16)
    sizes = [pixel_size(file) for file in sorted((tmp_path / "crops").rglob("images/*.tif"))]
    assert sizes == [pytest.approx((0.25, 0.25))] * 4 + [None] * 4


def test_a_trained_model_shows_images_as_large_as_it_learned_them(tmp_path, capsys) -> None:
    root, run = data(tmp_path / "a", 0.25, 0.5, 0.5), tmp_path / "run"
    assert main(["train", str(root), "--config", "smoke", "--out", str(run)]) == 0
    assert se.load(run).spec.pixel_size == pytest.approx(0.5)
    images = str(write(tmp_path / "b", "new", [0.25]) / "new" / "images")
    assert main(["predict", str(run), images, "--out", str(tmp_path / "found")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 image was shown to the model at 0.5 times the size, by the pixel size" in said
    assert pixel_size(tmp_path / "found" / "0.tif") == pytest.approx((0.25, 0.25))
    write(tmp_path / "b", "test", [0.25, 0.25])
    write(tmp_path / "b", "train", [0.25, 0.25])
    assert main(["evaluate", str(run), str(tmp_path / "b"), "--pictures", "1"]) == 0
    heard = capsys.readouterr()
    assert "2 images were shown to the model at 0.5 times" in " ".join(heard.err.split())

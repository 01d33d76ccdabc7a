"""Which files and folders of planes are stacks that a model of volumes predicts."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_predictor import bright
from test_volume_results import SPACING, SPEC, Bright, blocks, written

from spatialembed.data.images.reading import read_image, stack_spacing
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork


def test_a_zarr_without_axes_says_how_to_name_them(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.save_array(tmp_path / "a.zarr", blocks())
    zarr.save_array(tmp_path / "b.zarr", np.zeros((40, 40, 40), np.uint8))
    [image] = find_images([tmp_path / "a.zarr"], tmp_path / "out", stacks=True)
    model = Model(TorchNetwork(Bright()), SPEC)
    [outcome] = predict_files(model, [image], Results(tmp_path / "out"))
    assert "with dimension_names such as z, y, x" in (outcome.error or "")
    with pytest.raises(UserError, match="dimension_names such as z, y, x, and predict it with --s"):
        read_image(tmp_path / "b.zarr")


def in_planes(folder: Path, start: int = 1, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for number, plane in enumerate(blocks(), start):
        Image.fromarray(plane).save(folder / f"plane_{number}{suffix}")
    return folder


def test_folders_of_planes_and_zarrs_are_stacks(tmp_path: Path) -> None:
    images, told = tmp_path / "in", list[str]()
    in_planes(images / "day1" / "a.b")
    in_planes(images / "c", 9)  # 9, 10: not in the order of letters
    written(images / "d.tif", None)
    (images / "e.zarr").mkdir()
    (images / "f.ims").touch()
    (images / "c" / ".hidden").touch()
    found = find_images([images], tmp_path / "out", told.append, stacks=True)
    assert [image.name for image in found] == ["c", "d", "day1/a.b", "e"]
    assert told == [
        f"{images}: 1 file of another format is left out (1 .ims); save as TIFF or PNG what is to "
        "be read",
        f"the files of {images / 'c'} are taken for the planes of one stack (2 such folders)",
    ]
    results = Results(tmp_path / "out")
    files = [image for image in found if image.name != "e"]
    model = Model(TorchNetwork(Bright()), SPEC)
    assert [o.found for o in predict_files(model, files, results)] == [2, 2, 2]
    for name in ("c", "d", "day1/a.b"):
        np.testing.assert_array_equal(
            tifffile.imread(results.out / f"{name}.tif") > 0, blocks() > 0
        )
    # Named by itself, or by a pattern, a folder is the same stack; to a model of images it is none.
    for given in (images / "c", images / "c*", f"{images / 'c'}/"):
        [image] = find_images([given], tmp_path / "out", stacks=True)
        assert image == (images / "c", "c", None, None)
    assert len(find_images([images / "**"], tmp_path / "out", stacks=True)) == 4
    assert len(find_images([images / "c"], tmp_path / "out")) == 8


@pytest.mark.parametrize("spoil", ["gap", "size", "name", "stacks"])
def test_images_that_are_no_planes_are_no_stack(tmp_path: Path, spoil: str) -> None:
    folder = in_planes(tmp_path / "in", suffix=".tif")
    if spoil == "gap":
        (folder / "plane_3.tif").unlink()
    elif spoil == "size":
        Image.fromarray(blocks()[0, 1:]).save(folder / "plane_3.tif")
    elif spoil == "name":
        (folder / "plane_3.tif").rename(folder / "other.tif")
    else:
        for file in folder.iterdir():
            written(file, None)
    told: list[str] = []
    files = find_images([folder], tmp_path / "out", told.append, stacks=True)
    reasons = {
        "gap": "leave a gap",
        "size": "make all planes of one size",
        "name": "differ in more",
    }
    assert told == []
    model = Model(TorchNetwork(Bright()), SPEC)
    outcomes = list(predict_files(model, files, Results(tmp_path / "out", pictures=False)))
    if spoil == "stacks":
        assert [outcome.found for outcome in outcomes] == [2] * 8
    else:  # not once for each plane
        [outcome] = outcomes
        assert outcome.error is not None
        assert outcome.error.startswith(f"{folder} is no folder of planes: ")
        assert reasons[spoil] in outcome.error
    (folder / "more").mkdir()
    written(folder / "more" / "a.tif", None)
    below = find_images([folder], tmp_path / "out", told.append, stacks=True)
    assert len(below) == (8 if spoil == "gap" else 9)  # a folder of several things


def test_results_never_lie_among_planes(tmp_path: Path) -> None:
    folder = in_planes(tmp_path / "in")
    for out in (folder, tmp_path, folder / "found"):
        with pytest.raises(UserError, match="would lie beside it"):
            find_images([folder], out, stacks=True)


def test_stacks_joined_of_planes_state_their_spacing_too(tmp_path: Path) -> None:
    results = Results(tmp_path / "out", ["measurements"])
    file = find_images([written(tmp_path / "a.tif", SPACING)], results.out)
    [outcome] = predict_files(bright(), file, results, stitch=True)
    assert (outcome.found, outcome.error) == (2, None)
    assert stack_spacing(tmp_path / "out" / "a.tif") == pytest.approx(SPACING, rel=1e-5)
    assert "volume_um3" in (tmp_path / "out" / "a.csv").read_text().partition("\n")[0]

"""The files of what a model of several targets finds, and whose they are."""

import csv

import numpy as np
import pytest
import tifffile
from two_targets import model, scene

from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.models.spec import Target


def test_files_of_a_folder(tmp_path) -> None:
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, scene()[..., 0])
    results = Results(tmp_path / "out", ["measurements"])
    files = find_images([image], tmp_path / "out")
    [outcome] = predict_files(model(), files, results)
    assert (outcome.error, outcome.found) == (None, 4)
    assert outcome.diameter == pytest.approx(np.sqrt(20 * 4 / np.pi))  # of the smallest
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == [
        "a_cells.csv", "a_cells.tif", "a_nuclei.csv", "a_nuclei.tif", "a_overlay.png",
        "settings.json",
    ]  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out" / "a_nuclei.csv").open()))
    assert sorted(row["cells"] for row in rows) == ["", "1"]
    [again] = predict_files(model(), files, results)
    assert again.kept
    other = model(targets=(Target(min_size=9, object_diameter=6.0), model().spec.targets[1]))
    with pytest.raises(UserError, match=r"made with min_size of nuclei 5 \(now 9\); add"):
        predict_files(other, files, results)
    [new] = predict_files(other, files, results, overwrite=True)
    assert new.found == 4
    with pytest.raises(UserError, match="format coco is of one target"):
        predict_files(model(), files, Results(tmp_path / "coco", ["coco"]))
    with pytest.raises(UserError, match="--stitch is of one target"):
        predict_files(model(), files, Results(tmp_path / "z"), stitch=True)


def test_images_whose_results_would_have_one_name_are_refused(tmp_path) -> None:
    for name in ("a", "a_x"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    files = find_images([tmp_path], tmp_path / "out")
    clashing = model(class_names=("x_cells", "cells"))
    with pytest.raises(UserError, match=r"images a and a_x would both .*a_x_cells.tif"):
        predict_files(clashing, files, Results(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_pictures_of_an_image_that_is_called_as_a_target_s_results_stay(tmp_path) -> None:
    for name in ("a", "a_cells"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    both = find_images([tmp_path / "a_cells.tif", tmp_path / "a.tif"], tmp_path / "out")
    results = Results(tmp_path / "out", ["geojson"], pictures=True)
    list(predict_files(model(), both, results, overwrite=True))
    assert (tmp_path / "out" / "a_cells_overlay.png").is_file()
    alone = find_images([tmp_path / "a.tif"], tmp_path / "out")
    list(predict_files(model(), alone, results, overwrite=True))
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"a_cells_overlay.png", "a_cells.geojson", "a_overlay.png", "a.geojson"} <= left


def test_another_image_s_result_of_a_model_of_one_target_is_not_replaced(tmp_path) -> None:
    for name in ("a", "a_cells"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    out = tmp_path / "out"
    one = find_images([tmp_path / "a_cells.tif"], out)
    list(predict_files(model().of("cells"), one, Results(out)))
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    other = find_images([tmp_path / "a.tif"], out)
    with pytest.raises(UserError, match="also holds results of 1 images that are not given"):
        list(predict_files(model(), other, Results(out), overwrite=True))
    assert held == {path.name: path.read_bytes() for path in out.iterdir()}
    # of the same image they are replaced, and nothing of the former names is left
    assert [o.error for o in predict_files(model(), one, Results(out), overwrite=True)] == [None]
    assert not (out / "a_cells.tif").exists()
    assert (out / "a_cells_cells.tif").is_file()


@pytest.mark.parametrize(("first", "second"), [("a", "a_x"), ("a_x", "a")])
def test_so_are_those_of_two_calls_into_one_folder(tmp_path, first, second) -> None:
    clashing, out = model(class_names=("x_cells", "cells")), tmp_path / "out"
    files = {}
    for name in ("a", "a_x"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
        files[name] = find_images([tmp_path / f"{name}.tif"], out)
    assert [o.error for o in predict_files(clashing, files[first], Results(out))] == [None]
    held = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"images a(_x)? and a(_x)? would both .*a_x_cells.tif"):
            predict_files(clashing, files[second], Results(out), overwrite)
    assert held == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert [o.kept for o in predict_files(clashing, files[first], Results(out))] == [True]
    for path in out.glob("*.tif"):  # as a run leaves it that is killed
        if path.name != "a_x_cells.tif":
            path.unlink()
    with pytest.raises(UserError, match=r"would both .*a_x_cells.tif"):
        predict_files(clashing, files[second], Results(out))
    assert [o.found for o in predict_files(clashing, files[first], Results(out), True)] == [4]

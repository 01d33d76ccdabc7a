"""Results are never taken for those of another image."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_predictor import bright, squares
from two_targets import model as two_targets
from two_targets import scene

from spatialembed.errors import UserError
from spatialembed.files.sources import TAG, UNKNOWN, require_sources, source_of
from spatialembed.formats import results_folder, target_results
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images


def image_in(folder, content=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "a.tif"
    tifffile.imwrite(path, squares()[..., 0] if content is None else content)
    return path


def predicted(path, out, model=None, overwrite=False, min_size=None, **options):
    images, results = find_images([path], out), Results(out, **options)
    return list(predict_files(model or bright(), images, results, overwrite, min_size=min_size))


def held(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("time", [None, 1e9])
@pytest.mark.parametrize("model", [bright, two_targets])
def test_an_image_of_the_same_name_elsewhere_is_refused(tmp_path, model, time) -> None:
    content = squares()[..., 0] if model is bright else scene()[..., 0]
    first = image_in(tmp_path / "day1", content)
    second = image_in(tmp_path / "day2", np.roll(content, 1, axis=1))
    if time:  # as archives of one time leave them
        os.utime(first, (time, time))
        os.utime(second, (time, time))
    out = tmp_path / "found"
    predicted(first, out, model())
    before = held(out)
    told = r"found.a.*tif holds the results of another image, \.\./day1/a\.tif, not of .*day2"
    for options in ({}, {"formats": ["geojson"]}):
        with pytest.raises(UserError, match=told + ".*; choose another --out, or add --overwrite"):
            predicted(second, out, model(), **options)
    assert held(out) == before
    assert [o.kept for o in predicted(first, out, model())] == [True]
    assert [o.kept for o in predicted(second, out, model(), overwrite=True)] == [False]
    assert [o.kept for o in predicted(second, out, model())] == [True]
    with pytest.raises(UserError, match=r"another image, \.\./day2/a\.tif"):
        predicted(first, out, model())


def test_an_image_that_changed_is_refused(tmp_path) -> None:
    path, out = image_in(tmp_path / "images"), tmp_path / "found"
    image_in(tmp_path / "images" / "sub")
    predicted(path.parent, out)
    for content in (np.roll(squares()[..., 0], 1, axis=1), np.zeros((9, 9), np.uint8)):
        image_in(path.parent, content)
        with pytest.raises(UserError, match=r"a\.tif was made of .*a\.tif before that changed;"):
            predicted(path.parent, out)
    image_in(path.parent / "sub", np.zeros((9, 9), np.uint8))
    with pytest.raises(UserError, match=r"before that changed \(so it is with 1 more\); choose"):
        predicted(path.parent, out)


def test_images_that_were_moved_copied_or_touched_are_the_same(tmp_path) -> None:
    path, out = image_in(tmp_path / "at" / "images"), tmp_path / "at" / "found"
    predicted(path, out)
    os.utime(path, (1e9, 1e9))
    assert predicted(path, out)[0].kept
    copy = shutil.copy(path, tmp_path / "a.tif")
    assert predicted(copy, out)[0].kept
    moved = (tmp_path / "at").rename(tmp_path / "elsewhere")
    assert predicted(moved / "images" / "a.tif", moved / "found")[0].kept


def test_results_that_say_nothing_are_kept(tmp_path) -> None:
    path, out = image_in(tmp_path / "images"), tmp_path / "found"
    predicted(path, out)
    for told in (None, "scanned page 7", "{}", "[1]"):
        tags = [(TAG, "s", 0, told, True)] if told else []
        tifffile.imwrite(out / "a.tif", squares()[..., 0], extratags=tags)
        [outcome] = predicted(image_in(tmp_path / "other"), out)
        assert outcome.kept
        assert outcome.notes == (UNKNOWN,)
    [added] = predicted(path, out, formats=["measurements"])
    assert UNKNOWN in added.notes
    [own] = predicted(path, out, overwrite=True)
    assert UNKNOWN not in own.notes
    assert predicted(path, out)[0].notes == ()


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_are_no_results_are_neither_kept_nor_replaced(tmp_path, overwrite) -> None:
    path, out = image_in(tmp_path / "images"), image_in(tmp_path / "raw").parent
    before = held(out)
    with pytest.raises(UserError, match=r"raw.a\.tif.* no result of predict; choose another --out"):
        predicted(path, out, overwrite=overwrite, pictures=False)
    assert held(out) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", ["{}", '{"model": "microscope"}', "[1]", "mine"])
def test_settings_of_another_program_are_kept(tmp_path, content, overwrite) -> None:
    path, out = image_in(tmp_path / "images"), tmp_path / "found"
    out.mkdir()
    for name in ("settings.json", "a.csv"):
        (out / name).write_text(content)
    before = held(out)
    with pytest.raises(UserError, match=r"settings\.json.*choose another --out"):
        predicted(path, out, overwrite=overwrite, pictures=False, formats=["measurements"])
    assert held(out) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["a.csv", "a.geojson", "a_rois.zip", "coco_results.json"])
def test_files_of_others_beside_which_there_is_no_result_are_kept(
    tmp_path, name, overwrite
) -> None:
    path, out = image_in(tmp_path / "images"), tmp_path / "found"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(UserError, match=name + r".* no result of predict; choose another --out"):
        predicted(path, out, overwrite=overwrite, pictures=False, formats=["measurements"])
    assert held(out) == {name: b"mine"}


def test_images_are_counted_not_their_targets(tmp_path) -> None:
    first, out = image_in(tmp_path / "day1", scene()[..., 0]), tmp_path / "found"
    predicted(first, out, two_targets())
    image_in(tmp_path / "day1", scene()[::-1, :, 0])
    with pytest.raises(UserError, match="before that changed; choose"):
        predicted(first, out, two_targets())
    other = (tmp_path / "day1" / "a.tif").rename(tmp_path / "day1" / "b.tif")
    with pytest.raises(UserError, match="also holds results of 1 images that are not given"):
        predicted(other, out, two_targets(), overwrite=True, min_size=7)


@pytest.mark.parametrize("model", [bright, two_targets])
def test_what_a_killed_run_left_is_of_its_image(tmp_path, model, monkeypatch) -> None:
    def killed(*_):
        raise KeyboardInterrupt

    content = squares()[..., 0] if model is bright else scene()[..., 0]
    first, out = image_in(tmp_path / "day1", content), tmp_path / "found"
    with monkeypatch.context() as context:
        context.setattr(results_folder, "save_picture", killed)
        context.setattr(target_results, "save_picture", killed)
        with pytest.raises(KeyboardInterrupt):
            predicted(first, out, model())
    with pytest.raises(UserError, match="another image"):
        predicted(image_in(tmp_path / "day2", content[::-1]), out, model())
    (out / "a.csv").write_text("of the user")
    assert [o.kept for o in predicted(first, out, model())] == [False]
    assert (out / "a_overlay.png").is_file()
    assert (out / "a.csv").read_text() == "of the user"
    second, old = tmp_path / "day2" / "a.tif", (out / "a_overlay.png").read_bytes()
    with monkeypatch.context() as context:
        context.setattr(results_folder, "save_picture", killed)
        context.setattr(target_results, "save_picture", killed)
        with pytest.raises(KeyboardInterrupt):
            predicted(second, out, model(), overwrite=True)
    assert [o.kept for o in predicted(second, out, model())] == [False]
    assert (out / "a_overlay.png").read_bytes() != old


@pytest.mark.parametrize("spacing", [None, (0.5, 0.5)])
def test_label_tiffs_say_it_whatever_they_are_written_as(tmp_path, spacing) -> None:
    content = squares()[..., 0]
    (tmp_path / "Zürich").mkdir()
    path = tmp_path / "Zürich" / "a.ome.tif"
    said = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5} if spacing else {}
    tifffile.imwrite(path, content, ome=True, metadata={"axes": "YX", **said})
    [outcome] = predicted(path, tmp_path / "found")
    with tifffile.TiffFile(tmp_path / "found" / f"{outcome.image.name}.tif") as file:
        assert "Z\\u00fcrich" in file.pages.first.tags[TAG].value
        assert file.is_imagej == (spacing is not None)
        assert file.asarray().max() == 2


def test_what_lies_there_without_its_labels_is_refused(tmp_path) -> None:
    path, out = image_in(tmp_path / "images"), tmp_path / "found"
    predicted(path, out, formats=["measurements"])
    (out / "a.tif").rename(tmp_path / "a.tif")
    image_in(path.parent, np.roll(squares()[..., 0], 1, axis=1))
    before = held(out)
    with pytest.raises(UserError, match=r"found.a_?.*lies there without its labels.*--overwrite"):
        predicted(path, out, formats=["measurements"])
    assert held(out) == before
    assert not predicted(path, out, formats=["measurements"], overwrite=True)[0].kept


def test_results_that_another_run_wrote_meanwhile_are_not_added_to(tmp_path) -> None:
    first, second = image_in(tmp_path / "1"), image_in(tmp_path / "2", squares()[::-1, ::-1, 0])
    out = tmp_path / "found"
    begun = predict_files(bright(), find_images([first], out), Results(out, ["measurements"]))
    predicted(second, out)
    [outcome] = begun
    assert "another image" in outcome.error
    assert not (out / "a.csv").exists()


def test_a_folder_beside_its_results_is_read_by_a_relative_path_too(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "planes" / "found").mkdir(parents=True)
    image_in(tmp_path / "planes")
    before = source_of(Path("planes"), Path("planes.tif"))
    inside = source_of(Path("planes"), Path("planes/found/planes.tif"))
    (tmp_path / "planes" / "found" / "planes.tif").write_bytes(b"labels")
    assert inside == source_of(Path("planes"), Path("planes/found/planes.tif"))
    image_in(tmp_path / "planes", squares()[::-1, ::-1, 0])
    assert before != source_of(Path("planes"), Path("planes.tif"))


def test_a_folder_that_is_an_image_is_known_by_what_is_in_it(tmp_path) -> None:
    planes, labels = tmp_path / "planes", tmp_path / "found" / "planes.tif"
    for z in range(3):
        planes.mkdir(exist_ok=True)
        tifffile.imwrite(planes / f"z{z}.tif", np.full((4, 5), z, np.uint8))
    labels.parent.mkdir()
    tags = [(TAG, "s", 0, source_of(planes, labels), True)]
    tifffile.imwrite(labels, np.zeros((3, 4, 5), np.uint8), extratags=tags)
    require_sources([(labels, planes)], "no")
    moved = shutil.copytree(planes, tmp_path / "deep" / "moved")
    require_sources([(labels, moved)], "no")
    tifffile.imwrite(planes / "z1.tif", np.full((4, 5), 7, np.uint8))
    with pytest.raises(UserError, match="before that changed; no"):
        require_sources([(labels, planes)], "no")
    shutil.move(moved / "z0.tif", moved / "z9.tif")
    with pytest.raises(UserError, match="results of another image"):
        require_sources([(labels, moved)], "no")


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0\x08\0\0\0", b"\0" * 100])
def test_label_tiffs_that_cannot_be_read_say_nothing(tmp_path, content) -> None:
    path = image_in(tmp_path)
    (tmp_path / "labels.tif").write_bytes(content)
    require_sources([(tmp_path / "labels.tif", path)], "no")

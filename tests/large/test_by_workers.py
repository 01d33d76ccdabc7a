"""Images and folders by dask's workers, with all that can go wrong on the way."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pointing import Pointing, pointing_image
from test_seams import same_objects

from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.large import ModelSource, Workers, predict_large, predict_many
from spatialembed.large import image as large_image
from spatialembed.large.mosaic import Mosaic
from spatialembed.large.work_table import WorkTable
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

zarr = pytest.importorskip("zarr")
pytest.importorskip("distributed")

SIDE = 400
MOSAIC = Mosaic((SIDE, SIDE), (160, 160), (96, 96))
TWO = Workers(2)


def store(path: Path, image: np.ndarray, chunk: int = 100) -> Path:
    """An image as a Zarr array."""
    array = zarr.create_array(
        path, shape=image.shape, chunks=(chunk, chunk, 3), dtype=image.dtype, compressors=None
    )
    array[:] = image
    return path


def labels_of(out: Path) -> np.ndarray:
    return zarr.open_group(out, mode="r")["0"][:]


def test_an_image_becomes_the_labels_of_the_whole_although_a_worker_dies(tmp_path) -> None:
    image = pointing_image((SIDE, SIDE), 0)
    source = Pointing(tmp_path / "died")
    image[210, 205] = 1  # where the worker dies, in what four tiles see
    whole = Pointing(tmp_path).load().predict(image)
    out = tmp_path / "labels.zarr"
    count = predict_large(source, store(tmp_path / "a.zarr", image), out, TWO, mosaic=MOSAIC)
    assert source.once.exists()
    group = zarr.open_group(out, mode="r")
    labels = group["0"][:]
    assert count == labels.max() == group["instances/score"].shape[0]
    assert labels.dtype == np.uint32
    expected = whole.label_map
    assert same_objects(labels, expected)
    assert not (tmp_path / "labels.zarr.part").exists()
    _check_ome(group, labels)
    ids, first = np.unique(labels, return_index=True)
    order = expected.ravel()[first[1:]] - 1
    np.testing.assert_array_equal(group["instances/score"][:][ids[1:] - 1], whole.scores[order])
    np.testing.assert_array_equal(group["instances/box"][:][ids[1:] - 1], whole.boxes[order])


def _check_ome(group, labels: np.ndarray) -> None:
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    assert "image-label" in ome
    [scales] = ome["multiscales"]
    for level, entry in enumerate(scales["datasets"]):
        step = 2**level
        np.testing.assert_array_equal(group[entry["path"]][:], labels[::step, ::step])
        assert entry["coordinateTransformations"][0]["scale"] == [step, step]


def test_a_damaged_chunk_is_named_and_the_rest_is_not_done_again(
    there, tmp_path, monkeypatch
) -> None:
    image = pointing_image((SIDE, SIDE), 5)
    path, out = store(tmp_path / "a.zarr", image), tmp_path / "labels.zarr"
    chunk = path / "c" / "3" / "3" / "0"
    whole, part = chunk.read_bytes(), tmp_path / "labels.zarr.part"
    chunk.write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"4 of 9 parts .* rows 160 to 320, columns 160 to 320: .*"):
        predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    assert not out.exists()
    done = {p.name: p.stat().st_mtime_ns for p in (part / "objects").iterdir()}
    assert len(done) == 5
    with pytest.raises(UserError, match=r"unfinished run with min_size 12; .* --overwrite"):
        predict_large(Pointing(), path, out, there, mosaic=MOSAIC, min_size=5)
    chunk.write_bytes(whole)
    lost = part / "objects" / "0.npz"
    lost.unlink()  # gone, although the table has it as done
    monkeypatch.setattr(large_image, "_remove", lambda folder: None)
    told: list[str] = []
    predict_large(Pointing(), path, out, there, mosaic=MOSAIC, tell=told.append)
    assert told[0] == f"{path} changed, as if repaired; parts that were done before are kept"
    again = {p.name: p.stat().st_mtime_ns for p in (part / "objects").iterdir()}
    assert {name for name in again if again[name] != done.get(name)} == {
        f"{tile}.npz" for tile in (0, 4, 5, 7, 8)
    }
    assert same_objects(labels_of(out), Pointing().load().predict(image).label_map)
    with pytest.raises(UserError, match=r"labels\.zarr, where .* is there already; add"):
        predict_large(Pointing(), path, out, there, mosaic=MOSAIC)


def test_files_are_shared_and_a_poisoned_one_is_set_aside(there, tmp_path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(7):
        tifffile.imwrite(folder / f"{number}.tif", pointing_image((60, 60), number))
    poisoned = pointing_image((60, 60), 8)
    poisoned[3, 3] = 1
    tifffile.imwrite(folder / "poison.tif", poisoned)
    (folder / "torn.tif").write_bytes((folder / "0.tif").read_bytes()[:300])
    out = tmp_path / "found"
    results = Results(out, pictures=False)
    files = find_images([str(folder)], out)
    outcomes = {o.image.name: o for o in predict_many(Pointing(), files, results, TWO)}
    assert len(outcomes) == 9
    assert "died" in outcomes["poison"].error
    assert "torn.tif" in outcomes["torn"].error
    for number in range(7):
        expected = Pointing().load().predict(pointing_image((60, 60), number))
        labels = tifffile.imread(out / f"{number}.tif")
        np.testing.assert_array_equal(labels, expected.label_map)
        assert outcomes[str(number)].found == len(expected)
    tifffile.imwrite(folder / "torn.tif", pointing_image((60, 60), 9))
    (folder / "poison.tif").unlink()
    (out / "2.tif").unlink()
    before = (out / "1.tif").stat().st_mtime_ns
    files = find_images([str(folder)], out)
    again = {o.image.name: o for o in predict_many(Pointing(), files, results, there)}
    assert {name for name, o in again.items() if not o.kept} == {"2", "torn"}
    assert not any(o.error for o in again.values())
    assert (out / "1.tif").stat().st_mtime_ns == before
    assert json.loads((out / "settings.json").read_text())["model"] == "pointing"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": 0}, "workers is a number of processes"),
        ({"number": 2, "scheduler": "tcp://127.0.0.1:1"}, "either workers or a scheduler"),
    ],
)
def test_workers_that_cannot_be(options, message) -> None:
    with pytest.raises(UserError, match=message):
        Workers(**options)


def test_a_scheduler_of_ones_own_and_a_tiled_tiff_whose_half_labels_are_removed(
    there, tmp_path, monkeypatch
) -> None:
    image = pointing_image((SIDE, 200), 6)
    path, out = tmp_path / "a.tif", tmp_path / "labels.zarr"
    tifffile.imwrite(path, image, tile=(64, 64), compression="zlib", photometric="rgb")
    mosaic = Mosaic((SIDE, 200), (96, 96), (96, 96))
    assert there.scheduler
    with monkeypatch.context() as patch:

        def removed(*_: object) -> None:
            shutil.rmtree(tmp_path / "labels.zarr.part")
            raise OSError("no such folder")

        patch.setattr(large_image, "write_table", removed)
        with pytest.raises(OSError, match="no such folder"):
            predict_large(Pointing(), path, out, there, mosaic=mosaic)
    predict_large(Pointing(), path, out, there, mosaic=mosaic)
    assert same_objects(labels_of(out), Pointing().load().predict(image).label_map)


def test_nothing_is_deleted_that_another_run_uses(tmp_path) -> None:
    path = store(tmp_path / "a.zarr", pointing_image((50, 50), 7))
    part = tmp_path / "labels.zarr.part"
    with closing(WorkTable(part / "work.sqlite")) as table:
        table.add(["segment 000000000"])
        with pytest.raises(UserError, match="another run"):
            predict_large(Pointing(), path, tmp_path / "labels.zarr", Workers(1), overwrite=True)
        assert (part / "work.sqlite").is_file()
    tifffile.imwrite(tmp_path / "b.tif", pointing_image((50, 50), 7))
    results = Results(tmp_path / "found", pictures=False)
    files = find_images([tmp_path / "b.tif"], results.out)
    list(predict_files(Pointing().load(), files, results))
    with closing(WorkTable(results.out / "work.sqlite")) as table:
        table.add(["b"])
        with pytest.raises(UserError, match="another run"):
            list(predict_many(Pointing(), files, results, Workers(1), True, min_size=5))
        assert results.has("b")


def test_a_model_trained_again_is_another_one_for_workers_that_are_still_there(tmp_path) -> None:
    spec = ModelSpec("residual_unet", {"widths": [8, 8], "blocks": [1, 1]})
    save_model(tmp_path / "m.safetensors", spec.build(), spec)
    before = ModelSource(str(tmp_path / "m.safetensors"))
    assert before == ModelSource(str(tmp_path / "m.safetensors"))
    save_model(tmp_path / "m.safetensors", spec.build(), spec)
    assert before != ModelSource(str(tmp_path / "m.safetensors"))
    with pytest.raises(UserError, match="was replaced during prediction"):
        before.load()


def test_a_folder_that_cannot_be_written_is_said(there, tmp_path, monkeypatch) -> None:
    path = store(tmp_path / "a.zarr", pointing_image((SIDE, SIDE), 5))
    out = tmp_path / "labels.zarr"

    def spoilt(settings_file: Path, settings: dict) -> None:
        settings_file.parent.mkdir(exist_ok=True)
        (settings_file.parent / "objects").touch()  # no folder can be made there

    with monkeypatch.context() as patch:
        patch.setattr(large_image, "write_json", spoilt)
        with pytest.raises(UserError, match=r"9 of 9 parts .* could not write .*0\.npz"):
            predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    assert out.is_dir()


@pytest.mark.parametrize("stopped", ["number", "make_labels", "write_table"])
def test_it_goes_on_from_wherever_it_was_stopped(there, tmp_path, monkeypatch, stopped) -> None:
    """An old result stays until the end."""
    image = pointing_image((SIDE, 200), 7)
    path, out = store(tmp_path / "a.zarr", image), tmp_path / "labels.zarr"
    mosaic = Mosaic((SIDE, 200), (96, 96), (96, 96))
    out.mkdir()
    (out / "old").touch()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(large_image, stopped, stop)
        with pytest.raises(KeyboardInterrupt):
            predict_large(Pointing(), path, out, there, overwrite=True, mosaic=mosaic)
    assert (out / "old").is_file()
    former = tmp_path / ".labels.zarr.former"  # as a run leaves it that is killed in its last step
    former.mkdir()
    (former / "older").touch()
    part = tmp_path / "labels.zarr.part"
    for file in (part / "pairs").glob("*"):  # and one of the files is lost
        file.unlink()
        break
    predict_large(Pointing(), path, out, there, mosaic=mosaic)
    assert same_objects(labels_of(out), Pointing().load().predict(image).label_map)
    assert not list(tmp_path.glob(".labels*"))

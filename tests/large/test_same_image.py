"""A run on a large image does not go on with another one in its place."""

import os
import shutil

import numpy as np
import pytest
import tifffile
from pointing import Pointing, pointing_image
from test_by_workers import SIDE, labels_of, store
from test_seams import same_objects

from spatialembed.errors import UserError
from spatialembed.large import image as large_image
from spatialembed.large import predict_large
from spatialembed.large.mosaic import Mosaic
from spatialembed.large.same_image import stamp_of

pytest.importorskip("zarr")
MOSAIC = Mosaic((SIDE, 200), (96, 96), (96, 96))


def tiled(path, image):
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb")
    return path


@pytest.mark.parametrize("write", [store, tiled])
def test_an_image_that_was_replaced_is_refused_and_the_same_goes_on(
    there, tmp_path, monkeypatch, write
) -> None:
    name = "a.zarr" if write is store else "a.tif"
    path, out = tmp_path / name, tmp_path / "labels.zarr"
    image, other = (pointing_image((SIDE, 200), seed) for seed in (6, 7))
    write(path, image)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(large_image, "settle", killed)
        with pytest.raises(KeyboardInterrupt):
            predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    path.rename(tmp_path / "kept")
    write(path, other)
    with pytest.raises(UserError, match=rf"{name} changed since the run in .*add --overwrite"):
        predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (tmp_path / "kept").rename(path)
    predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    assert same_objects(labels_of(out), Pointing().load().predict(image).label_map)
    assert not list(tmp_path.glob(".*"))


def test_an_image_that_changes_during_the_run_is_refused(there, tmp_path, monkeypatch) -> None:
    path, out = tiled(tmp_path / "a.tif", pointing_image((SIDE, 200), 6)), tmp_path / "labels.zarr"

    def touched(*_: object) -> None:
        os.utime(path, (1e9, 1e9))

    with monkeypatch.context() as patch:
        patch.setattr(large_image.Run, "forget_lost", touched)
        with pytest.raises(UserError, match=r"a\.tif changed since the run"):
            predict_large(Pointing(), path, out, there, mosaic=MOSAIC)
    assert not out.exists()


def test_labels_within_an_image_are_none_of_it(tmp_path) -> None:
    path = store(tmp_path / "a.zarr", np.zeros((9, 9, 3), np.uint8))
    before = stamp_of(path, path / "b.zarr.part", path / ".lock")
    for inside in (path / "labels" / "b.zarr", path / "b.zarr.part"):
        inside.mkdir(parents=True)
        (inside / "zarr.json").touch()
    (path / ".lock").touch()
    assert stamp_of(path, path / "b.zarr.part", path / ".lock") == before
    assert stamp_of(path) != before

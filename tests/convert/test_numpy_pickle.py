"""Cellpose's pickles are read for their arrays; nothing that they name is run."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from spatialembed.convert.numpy_pickle import read_pickled
from spatialembed.errors import UserError


class Runs:
    """Would make a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_arrays_of_any_kind(tmp_path) -> None:
    held = {
        "masks": np.arange(12, dtype=np.uint16).reshape(3, 4),
        "flows": [np.ones((2, 3), np.float32), np.asfortranarray(np.eye(3))],
        "diameter": np.float64(17.5),
        "filename": "x.png",
    }
    np.save(tmp_path / "x_seg.npy", held)
    read = read_pickled(tmp_path / "x_seg.npy", "")
    np.testing.assert_array_equal(read["masks"], held["masks"])
    np.testing.assert_array_equal(read["flows"][1], held["flows"][1])
    assert (read["diameter"], read["filename"]) == (17.5, "x.png")


def test_files_of_numpy_1(tmp_path) -> None:
    masks = np.arange(6, dtype=np.uint16).reshape(2, 3)
    file = tmp_path / "x_seg.npy"
    np.save(file, {"masks": masks})
    header = file.read_bytes()[:128]
    old = pickle.dumps(np.array({"masks": masks}, object), 3)
    assert b"numpy._core" in old
    file.write_bytes(header + old.replace(b"numpy._core", b"numpy.core"))
    np.testing.assert_array_equal(read_pickled(file, "")["masks"], masks)


def test_nothing_is_run(tmp_path) -> None:
    made = tmp_path / "made"
    held = {
        "masks": np.ones((2, 2), np.uint8),
        "x": Runs(made),
        "y": Path("z"),
        "o": OrderedDict(a=1),
    }
    np.save(tmp_path / "x_seg.npy", held)
    read = read_pickled(tmp_path / "x_seg.npy", "")
    assert read["masks"].sum() == 4
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"no numpy", b"\x93NUMPY\x01\x00"])
def test_what_is_none(tmp_path, content) -> None:
    (tmp_path / "x_seg.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"x_seg\.npy cannot be read .*; save it anew"):
        read_pickled(tmp_path / "x_seg.npy", "save it anew")


def test_truncated_and_plain(tmp_path) -> None:
    file = tmp_path / "x_seg.npy"
    np.save(file, {"masks": np.ones((20, 20), np.uint8)})
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read"):
        read_pickled(file, "")
    np.save(file, np.ones(3))
    with pytest.raises(UserError, match="holds an array alone"):
        read_pickled(file, "")

"""The object index against a loop over ids, and its file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spatialembed.data import open_data
from spatialembed.data.objects import (
    build_object_index,
    load_object_index,
    object_index,
    objects_of,
    save_object_index,
)
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.integers(0, 12))
def test_objects_of_any_mask(seed, height, width, n):
    rng = np.random.default_rng(seed)
    ids = np.concatenate([[0], rng.choice(2**31 - 1, n, replace=False) + 1])
    which = rng.integers(0, n + 1, (height, width))
    mask = ids[which].astype(np.int32)
    class_map = np.where(mask > 0, mask % 3, -1).astype(np.int16)
    rows = []
    for label in np.unique(mask[mask > 0]):
        y, x = np.nonzero(mask == label)
        box = [y.min(), x.min(), y.max() + 1, x.max() + 1]
        rows.append([label, label % 3, *box, len(y)])
    found = objects_of(mask, class_map)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.array(rows).reshape(-1, 7))


def write(root, masks):
    for name, mask in masks.items():
        for part, array in (("images", np.zeros(mask.shape, np.uint8)), ("masks", mask)):
            (root / "train" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / "train" / part / f"{name}.png")
    return open_data(root, holdout=0)


MASK = np.array([[0, 3, 3, 0], [9, 0, 3, 0], [9, 0, 0, 3]], np.uint8)


def test_index_of_a_data_set(tmp_path):
    data = write(tmp_path, {"a": MASK, "b": MASK[:2] * 0, "c": MASK.T})
    index = build_object_index(data)
    assert len(index) == 4
    assert index.image.tolist() == [0, 0, 2, 2]
    assert index.label.tolist() == [3, 9, 3, 9]
    assert index.class_index.tolist() == [0, 0, 0, 0]
    assert index.area.tolist() == [4, 2, 4, 2]
    assert index.box[:2].tolist() == [[0, 1, 3, 4], [1, 0, 3, 1]]
    assert index.image_size.tolist() == [[3, 4], [2, 4], [4, 3]]
    np.testing.assert_allclose(index.diameter**2 * np.pi / 4, index.area)


def test_a_data_set_that_is_no_folder_of_files(tmp_path):
    class Memory:
        class_names, split, names = ("object",), "train", ["a"]

        def __len__(self):
            return 1

        def __getitem__(self, i):
            mask = MASK.astype(np.int32)
            classes = np.where(mask > 0, 0, -1).astype(np.int16)
            return Sample("a", MASK[..., None], mask, classes, mask < 0)

        def files(self, i):
            return ()

    assert len(build_object_index(Memory())) == 2


def test_no_object_anywhere(tmp_path):
    data = write(tmp_path, {"a": MASK * 0, "b": MASK * 0})
    with pytest.raises(UserError, match=r"no object of object in any of the 2 train images"):
        build_object_index(data)


def test_saved_index_is_used_until_a_file_changes(tmp_path, monkeypatch):
    data, cache = write(tmp_path, {"a": MASK, "b": MASK}), tmp_path / "run" / "objects.npz"
    index = object_index(data, cache)
    with monkeypatch.context() as patch:
        patch.setattr(type(data), "truth", None)  # any reading would fail
        again = object_index(data, cache)
    for name in ("image", "label", "class_index", "box", "area", "image_size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(index, name))
    write(tmp_path, {"b": MASK * 0})
    assert load_object_index(cache, data) is None
    assert len(object_index(data, cache)) == 2


def test_a_cache_that_is_broken_or_of_something_else_is_made_anew(tmp_path):
    data, cache = write(tmp_path, {"a": MASK}), tmp_path / "objects.npz"
    save_object_index(cache, build_object_index(data))
    whole = cache.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        cache.write_bytes(content)
        assert load_object_index(cache, data) is None
    np.savez(cache, image=np.zeros(3))
    assert load_object_index(cache, data) is None
    assert len(object_index(data, cache)) == 2
    assert cache.read_bytes()[:2] == b"PK"

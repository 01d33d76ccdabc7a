"""The object index against a loop over ids, and its file."""

import numpy as np
import pytest
from PIL import Image

from spatialembed.data import index_cache, open_data
from spatialembed.data.index import build_object_index, object_index, specks
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError


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
    assert index.channels.tolist() == [1, 1, 1]
    assert index.image_size.tolist() == [[3, 4], [2, 4], [4, 3]]
    np.testing.assert_allclose(index.diameter**2 * np.pi / 4, index.area)


def test_a_data_set_that_is_no_folder_of_files():
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
    with pytest.raises(UserError, match=r"no object in the 2 train images"):
        build_object_index(data)


COLUMNS = ("image", "label", "class_index", "box", "area", "image_size", "channels")


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)


def kept(root):
    return [path for path in root.iterdir() if path.suffix == ".npz"]


def test_an_index_is_made_once_and_again_for_files_that_changed(tmp_path, read):
    masks = {name: np.roll(MASK, k) for k, name in enumerate("abcde")}
    data = write(tmp_path, masks)
    index = object_index(data)
    assert read == list("abcde")
    assert len(kept(tmp_path)) == 1
    assert same(object_index(open_data(tmp_path, holdout=0)), index)
    assert read == list("abcde")
    write(tmp_path, {"c": MASK.T})
    again = object_index(data)
    assert read == [*"abcde", "c"]
    assert same(again, build_object_index(data))
    assert not same(again, index)
    # an image less, an image more, and the folder elsewhere
    (tmp_path / "train" / "images" / "a.png").unlink()
    (tmp_path / "train" / "masks" / "a.png").unlink()
    write(tmp_path, {"bb": MASK[:2]})
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    read.clear()
    data = open_data(moved, holdout=0)
    again = object_index(data)
    assert read == ["bb"]
    assert same(again, build_object_index(data))


def test_an_image_that_changed_is_read_again_too(tmp_path, read):
    data = write(tmp_path, {"a": MASK, "b": MASK})
    object_index(data)
    Image.fromarray(MASK * 9).save(tmp_path / "train" / "images" / "b.png")
    object_index(data)
    assert read == ["a", "b", "b"]


def test_classes_and_splits_have_indexes_of_their_own(tmp_path, read):
    write(tmp_path, {name: MASK for name in "abcdefgh"})
    for split, names in (("train", None), ("val", None), ("train", ["cell"])):
        object_index(open_data(tmp_path, split, names))
    assert len(kept(tmp_path)) == 3
    read.clear()
    object_index(open_data(tmp_path, "val"))
    object_index(open_data(tmp_path, "train", ["cell"]))
    assert read == []


def test_a_cache_that_is_broken_or_of_something_else_is_made_anew(tmp_path, read):
    data = write(tmp_path, {"a": MASK})
    index = object_index(data)
    (cache,) = kept(tmp_path)
    whole = cache.read_bytes()
    garbled = bytearray(whole)
    garbled[len(whole) // 2] ^= 255
    for content in (b"", b"nothing", whole[: len(whole) // 2], bytes(garbled)):
        cache.write_bytes(content)
        read.clear()
        assert same(object_index(data), index)
        assert read == ["a"]
        assert cache.read_bytes() == whole
    np.savez(cache, image=np.zeros(3))
    assert same(object_index(data), index)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, read):
    write_whole = index_cache.atomic_write
    data = write(tmp_path / "data", {"a": MASK})
    closed = [tmp_path / "data"]

    def refusing(path):
        if any(path.is_relative_to(folder) for folder in closed):
            raise UserError(f"could not write {path}")
        return write_whole(path)

    monkeypatch.setattr(index_cache, "atomic_write", refusing)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index = object_index(data)
    assert same(object_index(data), index)
    assert read == ["a"]
    assert not kept(tmp_path / "data")
    closed.append(tmp_path / "cache")
    (cached,) = (tmp_path / "cache" / "spatialembed").iterdir()
    cached.unlink()
    assert same(object_index(data), index)


def test_a_file_that_vanished_is_named(tmp_path):
    data = write(tmp_path, {"a": MASK})
    (tmp_path / "train" / "masks" / "a.png").unlink()
    with pytest.raises(UserError, match=r"a\.png cannot be read .*; restore it"):
        object_index(data)


@pytest.mark.parametrize("whole", [False, True])
def test_images_are_looked_at_on_the_way(tmp_path, monkeypatch, whole):
    """A damaged image is named where it is decoded, which very many are not."""
    data = write(tmp_path, {"a": MASK, "b": np.tile(MASK, (20, 20))})
    file = tmp_path / "train" / "images" / "b.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"b\.png cannot be read"):
        object_index(data, whole=whole)
    monkeypatch.setattr("spatialembed.data.index.DECODED", 1)
    if not whole:
        assert object_index(data).image_size.tolist() == [[3, 4], [60, 80]]
    else:
        with pytest.raises(UserError, match=r"b\.png cannot be read"):
            object_index(data, whole=True)


@pytest.mark.parametrize("decoded", [0, 10**6])
def test_an_image_of_another_size_is_named(tmp_path, monkeypatch, decoded):
    monkeypatch.setattr("spatialembed.data.index.DECODED", decoded)
    data = write(tmp_path, {"a": MASK, "b": MASK})
    Image.new("L", (5, 3)).save(tmp_path / "train" / "images" / "b.png")
    with pytest.raises(UserError, match=r"b\.png is 5x3, its truth .*b\.png is 4x3"):
        object_index(data)


def test_a_look_at_whole_images_is_remembered_by_itself(tmp_path, read):
    data = write(tmp_path, {"a": MASK, "b": MASK})
    seen = []
    for _ in range(2):
        object_index(data)
        object_index(data, whole=True, progress=lambda *state: seen.append(state))
    assert read == ["a", "b", "a", "b"]
    assert seen == [("train", 1, 2), ("train", 2, 2)]
    assert len(kept(tmp_path)) == 2


def test_specks_are_those_that_would_decide():
    areas = np.array([300] * 16 + [1] * 30 + [9] * 10 + [10] * 4)
    assert np.array_equal(specks(areas), areas < 10)
    assert not specks(np.array([300] * 95 + [1] * 5)).any()  # too few to decide
    assert not specks(np.array([3] * 50 + [40] * 20)).any()  # small objects, not specks
    assert specks(np.array([], int)).shape == (0,)


def test_an_index_without_specks_keeps_its_images(tmp_path):
    mask = np.zeros((60, 60), np.uint8)
    mask[10:40, 10:40] = 1
    lone = np.zeros((60, 60), np.uint8)
    lone[5, 5] = 9
    index = build_object_index(write(tmp_path, {"a": mask, "b": lone}))
    kept = index.without_specks()
    assert (len(index), index.empty.tolist()) == (2, [])
    assert (kept.label.tolist(), kept.empty.tolist()) == ([1], [1])
    assert kept.box.tolist() == [[10, 10, 40, 40]]

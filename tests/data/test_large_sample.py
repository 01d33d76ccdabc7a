"""Images that are read by windows: crops, index and reports as when they are read whole."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from torch.utils.data import DataLoader

from spatialembed.data import check_data, large_sample, object_index, open_data
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.batches import CropDataset, collate
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.crops.stored import store_crops
from spatialembed.data.images import tiff_tiles
from spatialembed.data.index import build_object_index
from spatialembed.errors import UserError
from spatialembed.models.normalization import Normalization

FULL = Augmentation(scale=(0.6, 1.7), brightness=0.2, contrast=0.4, gamma=0.5, noise=0.1, blur=1.5)
KINDS = ["png", "tif", "zarr"]


def scene(seed: int, height: int = 150, width: int = 210) -> dict[str, np.ndarray]:
    """An image (H, W, 3), a mask of squares of ids with gaps, and a part that is ignored."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint16)
    for k in range(25):
        y, x = rng.integers(height), rng.integers(width)
        mask[y : y + 12, x : x + 9] = 7 * k + 1
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    for k in range(5):  # a stray pixel far from its object
        mask[rng.integers(height), rng.integers(width)] = 7 * k + 1
    ignore = (rng.random((height, width)) < 0.1).astype(np.uint8)
    return {"images": image, "masks": mask, "ignore": ignore}


def store(path: Path, kind: str, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "png":
        Image.fromarray(array).save(path.with_suffix(".png"))
    elif kind == "tif":
        color = "rgb" if array.ndim == 3 else "minisblack"
        options = {"tile": (32, 16), "compression": "zlib", "photometric": color}
        tifffile.imwrite(path.with_suffix(".tif"), array, **options)
    else:
        zarr = pytest.importorskip("zarr")
        chunks = (30, 20, *array.shape[2:])
        zarr.create_array(path.with_suffix(".zarr"), data=array, chunks=chunks)


def folder(root: Path, kind: str, split: str = "train", scenes: int = 2) -> Path:
    for k in range(scenes):
        for part, array in scene(k).items():
            store(root / split / part / f"x{k}", kind, array)
    return root


def cropper(data, **options) -> Cropper:
    options = {"background_share": 0.3, "augmentation": FULL} | options
    normalization = Normalization(options.pop("kind", "percentile")).fixed
    return Cropper(data, normalization, 48, object_index(data), **options)


def same(a, b) -> bool:
    return a.name == b.name and all(
        x.dtype == y.dtype and x.numpy().tobytes() == y.numpy().tobytes()
        for x, y in zip(a[:4], b[:4], strict=True)
    )


@pytest.fixture
def all_large(monkeypatch):
    monkeypatch.setattr(large_sample, "LARGE_PIXELS", 0)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Fifty crops of images that are read whole, and their index."""
    data = open_data(folder(tmp_path_factory.mktemp("plain"), "png"), holdout=0)
    return [cropper(data).draw(number) for number in range(50)], build_object_index(data)


@pytest.mark.parametrize("kind", KINDS)
def test_crops_are_the_same_bit_for_bit_however_images_are_stored(kind, tmp_path, plain, all_large):
    data = open_data(folder(tmp_path, kind), holdout=0)
    assert (data.large(0) is None) == (kind == "png")
    made = cropper(data)
    assert all(same(made.draw(number), crop) for number, crop in enumerate(plain[0]))
    for zoom in (0.3, 2.5):
        made, whole = (cropper(data, zoom=zoom) for _ in range(2))
        whole._sources._opened.get = lambda *_: None  # as if the images were small
        assert all(same(made.draw(number), whole.draw(number)) for number in range(15))


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_is_the_same(kind, tmp_path, plain, all_large, monkeypatch):
    monkeypatch.setattr("spatialembed.data.index.blocks.__defaults__", (1000,))
    data = open_data(folder(tmp_path, kind), holdout=0)
    index = build_object_index(data)
    for name in ("image", "label", "class_index", "box", "area", "image_size"):
        np.testing.assert_array_equal(getattr(index, name), getattr(plain[1], name))


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_loader_workers_read_the_same(kind, tmp_path, plain, all_large):
    data = open_data(folder(tmp_path, kind), holdout=0)
    made = cropper(data)
    made.draw(3)  # opened before the workers are forked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks beside threads
        loader = DataLoader(CropDataset(made, 0, 12), 4, num_workers=2, collate_fn=collate)
        for number, batch in enumerate(loader):
            expected = collate(plain[0][4 * number : 4 * number + 4])
            assert batch.names == expected.names
            assert all(np.array_equal(a, b) for a, b in zip(batch[:4], expected[:4], strict=True))


def read_chunks(monkeypatch, kind) -> list[str]:
    """Gets the name of each chunk of a zarr array, or tile of a TIFF, that is read."""
    seen: list[str] = []
    if kind == "tif":
        stored = tiff_tiles._stored

        def tile(file, *place):
            seen.append(f"{file.name}/{place}")
            return stored(file, *place)

        monkeypatch.setattr(tiff_tiles, "_stored", tile)
        return seen
    storage = pytest.importorskip("zarr").storage
    get = storage.LocalStore.get

    async def chunk(self, key, *args, **options):
        if "/c/" in f"/{key}":
            seen.append(f"{self.root}/{key}")
        return await get(self, key, *args, **options)

    monkeypatch.setattr(storage.LocalStore, "get", chunk)
    return seen


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_a_crop_reads_the_chunks_it_shows_and_no_more(kind, tmp_path, all_large, monkeypatch):
    for part, array in scene(0, 500, 600).items():
        store(tmp_path / "train" / part / "x", kind, array)
    data = open_data(tmp_path, holdout=0)
    made = cropper(data, kind="range", augmentation=Augmentation())  # no sample for percentiles
    seen = read_chunks(monkeypatch, kind)
    rows, columns = (32, 16) if kind == "tif" else (30, 20)
    most = 3 * (51 // rows + 2) * (51 // columns + 2)  # of image, mask and ignore; a border of 1
    for number in range(20):
        seen.clear()
        made.draw(number)
        assert 3 <= len(seen) == len(set(seen)) <= most


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_a_damaged_chunk_is_named_when_a_crop_needs_it(kind, tmp_path, all_large):
    data = open_data(folder(tmp_path, kind, scenes=1), holdout=0)
    made = cropper(data, kind="range")
    image = data.items[0].image
    if kind == "tif":
        image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    else:
        for chunk in (image / "c").rglob("0"):
            if chunk.is_file():
                chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(UserError, match=rf"^{re.escape(str(image))} cannot be read at rows \d+"):
        [made.draw(number) for number in range(40)]


@pytest.mark.parametrize("kind", KINDS)
def test_reports_and_stored_crops_are_the_same(kind, tmp_path, all_large, monkeypatch):
    root = folder(tmp_path / "data", kind)
    data = open_data(root, holdout=0)
    report = check_data(root, holdout=0)
    store_crops(data, object_index(data), tmp_path / "crops", 32)
    monkeypatch.undo()
    assert data.large(0) is None
    assert check_data(root, holdout=0) == report
    store_crops(data, object_index(data), tmp_path / "whole", 32)
    made = sorted((tmp_path / "whole").rglob("*.tif"))
    assert len(made) > 50
    for path in made:
        other = tmp_path / "crops" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes()


def test_a_changed_chunk_has_its_mask_read_again(tmp_path):
    zarr = pytest.importorskip("zarr")
    data = open_data(folder(tmp_path, "zarr"), holdout=0)
    before = object_index(data)
    mask = zarr.open(tmp_path / "train" / "masks" / "x1.zarr", mode="r+")
    mask[100:110, 100:110] = 9999
    after = object_index(data)
    assert 9999 not in before.label
    assert after.label[after.image == 1].max() == 9999


def test_images_too_large_to_be_read_whole_are_for_training_alone(tmp_path, all_large, monkeypatch):
    monkeypatch.setattr(large_sample, "MOST_PIXELS", 1000)
    root = folder(folder(tmp_path, "tif"), "tif", "val", scenes=1)
    train, val = open_data(root), open_data(root, "val")
    assert cropper(train).draw(0).image.shape == (3, 48, 48)
    sentence = r"val/images/x0\.tif is 210x150, too large to be taken whole; cut it"
    with pytest.raises(UserError, match=sentence):
        val[0]
    with pytest.raises(UserError, match=sentence):
        val.require_whole(0)
    (problem,) = check_data(root).errors
    assert "too large" in problem.message
    # a mask in one piece would have to be read whole for every crop
    tifffile.imwrite(root / "train" / "masks" / "x0.tif", scene(0)["masks"], compression="zlib")
    with pytest.raises(UserError, match=r"masks/x0\.tif is 210x150 and not stored in parts; store"):
        train.large(0)


def test_sizes_and_ids_that_do_not_fit_are_named(tmp_path, all_large):
    root = folder(tmp_path, "tif")
    store(root / "train" / "masks" / "x0", "tif", scene(0)["masks"][:-1])
    store(root / "train" / "masks" / "x1", "tif", scene(0)["masks"].astype(np.uint32) + 2**31)
    data = open_data(root, holdout=0)
    with pytest.raises(UserError, match=r"is 210x150, its truth .* is 210x149; make them one size"):
        data.large(0)
    with pytest.raises(UserError, match="has ids above 2147483647; number its objects anew"):
        data.large(1).truth(slice(0, 9), slice(0, 9))


def test_small_images_in_zarr_are_read_whole(tmp_path):
    pytest.importorskip("zarr")
    zarr_data = open_data(folder(tmp_path / "zarr", "zarr"), holdout=0)
    png_data = open_data(folder(tmp_path / "png", "png"), holdout=0)
    assert zarr_data.names == png_data.names == ["x0", "x1"]
    assert zarr_data.large(0) is None
    for a, b in zip(zarr_data, png_data, strict=True):
        for name in ("image", "label_mask", "class_map", "ignore"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_ome_zarr_has_the_stem_of_its_mask(tmp_path):
    zarr = pytest.importorskip("zarr")
    for part, name in (("images", "a.ome.zarr"), ("masks", "a.zarr")):
        zarr.create_array(tmp_path / "train" / part / name, data=scene(0)["masks"])
    assert open_data(tmp_path, holdout=0).names == ["a"]

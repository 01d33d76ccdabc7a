"""Result files read back as what was written, by the readers other people use."""

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from spatialembed import errors
from spatialembed.formats.results import (
    coco_results,
    compress,
    rle_counts,
    save_label_png,
    save_label_tiff,
    write_cityscapes_results,
)
from spatialembed.instances import Instances

masks = array_shapes(min_dims=2, max_dims=2, max_side=14).flatmap(lambda s: arrays(bool, s))


@pytest.fixture
def three() -> Instances:
    label_map = np.zeros((20, 30), np.int32)
    label_map[2:9, 3:12] = 1
    label_map[4, 5] = 0
    label_map[15:20, 0:4] = 2
    label_map[0, 29] = 3
    scores = np.float32([0.95, 0.9, 0.90000004]) - np.float32([0, 0, 1e-7])
    return Instances.from_label_map(label_map, np.sort(scores)[::-1], [0, 1, 0], ["car", "bus"])


@pytest.mark.parametrize(
    ("highest", "dtype"),
    [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "uint32")],
)
@pytest.mark.parametrize("shape", [(5, 6), (3, 5, 6), (5, 6, 3), (3, 4)])
def test_tiff_holds_any_label_in_the_smallest_type(tmp_path, shape, highest, dtype):
    label_map = np.zeros(shape, np.int32)
    label_map[-1, -1] = highest
    save_label_tiff(tmp_path / "new" / "x.tif", label_map)
    read = tifffile.imread(tmp_path / "new" / "x.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, label_map)


def test_png_has_16_bits(tmp_path):
    label_map = np.arange(65536, dtype=np.int32).reshape(256, 256)
    save_label_png(tmp_path / "x.png", label_map)
    read = np.array(Image.open(tmp_path / "x.png"))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, label_map)


def test_png_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(errors.UserError, match=r"x\.png cannot hold label 65536.*TIFF"):
        save_label_png(tmp_path / "x.png", np.full((2, 2), 65536))
    with pytest.raises(ValueError, match="write a TIFF"):
        save_label_png(tmp_path / "x.png", np.zeros((2, 2, 2), np.int32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labels", [np.full((2, 2), -1), np.full((2, 2), 2**32), np.zeros((2, 2))])
def test_labels_no_file_holds_are_refused(tmp_path, labels):
    for save in (save_label_png, save_label_tiff):
        with pytest.raises(ValueError, match="labels"):
            save(tmp_path / "x", labels)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.tif"
    save_label_tiff(path, np.full((2, 2), 7))

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(errors.UserError, match="No space left"):
        save_label_tiff(path, np.zeros((2, 2), np.int32))
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]
    assert (tifffile.imread(path) == 7).all()


def test_cityscapes_results(tmp_path, three):
    label_ids = {"car": 26, "bus": 28, "person": 24}
    text = write_cityscapes_results(tmp_path, "aachen_000000_000019", three, label_ids)
    assert text == tmp_path / "aachen_000000_000019.txt"
    lines = [line.split(" ") for line in text.read_text().splitlines()]
    assert [int(line[1]) for line in lines] == [26, 28, 26]
    assert [np.float32(line[2]) for line in lines] == three.scores.tolist()
    assert len({line[2] for line in lines}) == 3, "scores a float apart stay apart"
    for k, (name, *_) in enumerate(lines):
        mask = Image.open(tmp_path / name)
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.array(mask), 255 * (three.label_map == k + 1))


def test_cityscapes_results_are_read_by_the_official_script(tmp_path, three):
    name = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"
    official = pytest.importorskip(name, reason="needs the 'eval' extra")
    text = write_cityscapes_results(tmp_path, "a_0_1", three, {"car": 26, "bus": 28})
    official.args.predictionPath = str(tmp_path)
    read = official.readPredInfo(str(text), official.args)
    assert [entry["labelID"] for entry in read.values()] == [26, 28, 26]
    assert [entry["conf"] for entry in read.values()] == three.scores.tolist()


def test_cityscapes_results_leave_no_mask_of_former_ones(tmp_path, three):
    write_cityscapes_results(tmp_path, "a", three, {"car": 26, "bus": 28})
    write_cityscapes_results(tmp_path, "a_1", three, {"car": 26, "bus": 28})
    nothing = Instances.from_label_map(np.zeros_like(three.label_map))
    write_cityscapes_results(tmp_path, "a", nothing, {})
    left = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert left == ["a_1_0.png", "a_1_1.png", "a_1_2.png"]


def test_cityscapes_results_without_an_instance(tmp_path):
    nothing = Instances.from_label_map(np.zeros((4, 5), np.int32))
    assert write_cityscapes_results(tmp_path, "a_0_1", nothing, {}).read_text() == ""


def test_cityscapes_results_refuse(tmp_path, three):
    with pytest.raises(errors.UserError, match="without spaces"):
        write_cityscapes_results(tmp_path, "my image", three, {"car": 26, "bus": 28})
    with pytest.raises(ValueError, match="class bus"):
        write_cityscapes_results(tmp_path, "a", three, {"car": 26})
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=100, deadline=None)
@given(masks, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_rle_equals_pycocotools(mask, top, left, bottom, right):
    coco = pytest.importorskip("pycocotools.mask")
    whole = np.pad(mask, ((top, bottom), (left, right)))
    expected = coco.encode(np.asfortranarray(whole, np.uint8))
    counts = rle_counts(mask, (top, left), whole.shape)
    assert counts.sum() == whole.size
    assert compress(counts) == expected["counts"].decode()


def test_rle_of_large_images():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for share in (0.001, 0.5, 0.999, 0.0, 1.0):
        mask = rng.random((700, 900)) < share
        mask[:, 300:700] = mask[0, 0]
        expected = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert compress(rle_counts(mask, (0, 0), mask.shape)) == expected


def test_coco_results(three):
    coco = pytest.importorskip("pycocotools.mask")
    results = json.loads(json.dumps(coco_results(three, 42, {"car": 3, "bus": 6})))
    assert [r["category_id"] for r in results] == [3, 6, 3]
    assert [r["score"] for r in results] == three.scores.tolist()
    for k, result in enumerate(results):
        assert result["image_id"] == 42
        mask = three.label_map == k + 1
        np.testing.assert_array_equal(coco.decode(result["segmentation"]), mask)
        assert "bbox" not in result
    with pytest.raises(ValueError, match="class bus"):
        coco_results(three, 42, {"car": 3})
